import EventLoops
import Glibc
import TestSupport

/// Where things are: the programs beside this test bundle, the files of the tree it was built from.
enum Tree {
    /// The `quartermaster` that was built together with these tests.
    static var executable: String {
        get throws {
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
            let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let path = folder(of: own) + "/quartermaster"
            guard access(path, X_OK) == 0 else { throw SetUpFailure("there is no program \(path)") }
            return path
        }
    }

    /// The load generator that was built together with them.
    static var loadTest: String {
        get throws {
            let path = folder(of: try executable) + "/LoadTest"
            guard access(path, X_OK) == 0 else { throw SetUpFailure("there is no program \(path)") }
            return path
        }
    }

    /// The folder of Package.swift.
    static var root: String {
        // Tests/FleetTests/Support/Tree.swift
        var root = #filePath
        for _ in 0..<4 { root = folder(of: root) }
        return root
    }

    /// The text of a file of the tree, by its path from the root.
    static func text(_ path: String) throws -> String { try read(root + "/" + path) }

    static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else { throw SetUpFailure("cannot read \(path)") }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw SetUpFailure("cannot write \(path)") }
        defer { fclose(file) }
        guard fputs(text, file) >= 0 else { throw SetUpFailure("cannot write \(path)") }
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }
}

import Foundation
import Testing

/// The project's files, as they lie in the folder that this test was built from.
struct Tree {
    struct File: CustomTestStringConvertible {
        /// Below the root, `Sources/Bytes/ByteView.swift`.
        let path: String
        let text: String

        var testDescription: String { path }
        var folders: [String] { path.split(separator: "/").map(String.init) }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        var lineCount: Int { lines.count - (text.hasSuffix("\n") ? 1 : 0) }
    }

    let root: URL

    init() {
        // Tests/TidyTests/Tree.swift
        root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// Files below `folder` whose names end in `.<ending>`, by path.
    func files(_ folder: String, _ ending: String) throws -> [File] {
        let base = root.appendingPathComponent(folder)
        guard let found = FileManager.default.enumerator(atPath: base.path) else { return [] }
        let paths = found.compactMap { $0 as? String }.filter { $0.hasSuffix("." + ending) }.sorted()
        return try paths.map { try file(folder + "/" + $0) }
    }

    func file(_ path: String) throws -> File {
        File(path: path, text: try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8))
    }

    func topLevel() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: root.path) }

    func swift() throws -> [File] { try files("Sources", "swift") + files("Tests", "swift") + [file("Package.swift")] }
}

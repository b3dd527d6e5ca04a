import Glibc
import TestSupport

/// A folder with files that a test has written.
final class FileFolder: Sendable {
    let path: String
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path
    }

    /// Writes a file below the folder, and the folders above it.
    /// - Parameter ageS: how long ago it was changed.
    @discardableResult
    func write(_ name: String, _ text: String = "", ageS: Int = 0, mode: mode_t = 0o644) throws -> String {
        var made = path
        for part in name.split(separator: "/").dropLast() {
            made += "/" + part
            mkdir(made, 0o755)
        }
        let whole = path + "/" + name
        let descriptor = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw SetUpFailure("cannot write \(whole)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw SetUpFailure("cannot write") }
        fchmod(descriptor, mode)
        if ageS > 0 {
            let then = timespec(tv_sec: time(nil) - ageS, tv_nsec: 0)
            futimens(descriptor, [then, then])
        }
        return whole
    }

    /// A program of the shell.
    func program(_ name: String, _ lines: String) throws {
        try write(name, "#!/bin/sh\n\(lines)\n", mode: 0o755)
    }

    func link(_ name: String, to target: String) { symlink(target, path + "/" + name) }

    /// A file's text; nil when there is none.
    func read(_ name: String) -> String? {
        let descriptor = open(path + "/" + name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    func has(_ name: String) -> Bool { access(path + "/" + name, F_OK) == 0 }
}

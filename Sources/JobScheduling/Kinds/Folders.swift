import Glibc
import Services

/// Folders that settings of kinds name.
enum Folders {
    /// The folder's absolute path without links.
    /// - Throws: when there is no such folder; the process then does not start.
    static func resolve(_ path: String, _ setting: String) throws(Problem) -> String {
        guard let resolved = realpath(path, nil) else {
            throw .field(setting, "must be a directory: \(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        var status = stat()
        guard stat(resolved, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw .field(setting, "must be a directory, not \(path)")
        }
        return String(cString: resolved)
    }
}

import Glibc
import Services

/// Folders that settings of kinds name, and what lies below them.
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

    /// The parts of a path below a folder; `.` is the folder itself. Nothing in it can lead out by its name.
    static func parts(_ path: String, _ field: String) throws(Problem) -> [String] {
        if path == "." { return [] }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw .field(field, "must be a path below the root, without .. and without / at its ends")
        }
        return parts
    }

    /// Opens what lies below a folder, part by part, so that no link on the way, nor at its end, is followed.
    /// - Parameter flags: for the last part.
    /// - Returns: a descriptor, or the error.
    static func open(_ parts: [String], below root: String, _ flags: Int32) -> Result<Int32, Sought> {
        let folderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        var descriptor = Glibc.open(root, parts.isEmpty ? flags | O_CLOEXEC : folderFlags)
        guard descriptor >= 0 else { return .failure(Sought(name: root, code: errno)) }
        for (i, part) in parts.enumerated() {
            let isLast = i == parts.count - 1
            let next = openat(descriptor, part, isLast ? flags | O_NOFOLLOW | O_CLOEXEC : folderFlags)
            let code = errno
            close(descriptor)
            guard next >= 0 else {
                return .failure(Sought(name: parts[...i].joined(separator: "/"), code: code))
            }
            descriptor = next
        }
        return .success(descriptor)
    }

    /// What could not be opened, and why.
    struct Sought: Error {
        let name: String
        let code: Int32

        var failure: JobFailure {
            // A link is refused as one, or, where a folder is wanted, as no folder.
            let why = code == ELOOP ? "is a link, which is not followed" : String(cString: strerror(code))
            return JobFailure(
                "\(name): \(why)", isPermanent: [ENOENT, ENOTDIR, ELOOP, EACCES, EPERM, ENAMETOOLONG].contains(code))
        }
    }
}

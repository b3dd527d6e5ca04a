import EventLoops
import Glibc
import Telemetry

/// The data directory of an embedded Redis, locked for this process, and the folder of its socket.
///
/// Only one process uses a directory at a time: our lock on it falls with us. A server that an earlier process left behind
/// is asked to end first.
struct RedisDirectory: Sendable {
    /// Absolute: redis-server goes into the directory and then opens its files.
    let path: String
    let socket: String
    private let lock: Int32

    init(_ given: String, log: Logger) throws(EmbeddedRedis.StartError) {
        path = try RedisDirectory.make(given)
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw EmbeddedRedis.StartError(description: "cannot open \(path)/lock: \(errorText())")
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw EmbeddedRedis.StartError(description: "the data directory \(path) is in use by another process")
        }
        endOrphan(of: path, log: log)
        removeLeftFolder(named: path + "/socket")
        // A unix socket's path is at most 107 bytes, which a data directory may well exceed.
        var template = Array("/tmp/qm-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw EmbeddedRedis.StartError(description: "cannot make a folder in /tmp: \(errorText())")
        }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        socket = folder + "/redis.sock"
        writeSmallFile(path + "/socket", socket + "\n")
    }

    /// Removes the socket's folder and lets go of the directory.
    func release() {
        removeFolder(of: socket)
        close(lock)
    }

    static var standard: String {
        if let state = environmentValue("XDG_STATE_HOME") { return state + "/quartermaster" }
        return (environmentValue("HOME") ?? "/var/lib") + "/.local/state/quartermaster"
    }

    /// Makes the directory and those above it; returns its absolute path.
    private static func make(_ path: String) throws(EmbeddedRedis.StartError) -> String {
        var made = ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(made, 0o700) != 0, errno != EEXIST {
                throw EmbeddedRedis.StartError(
                    description: "cannot make the data directory \(path): \(errorText())")
            }
        }
        guard let absolute = realpath(path, nil) else {
            throw EmbeddedRedis.StartError(description: "cannot use the data directory \(path): \(errorText())")
        }
        defer { free(absolute) }
        return String(cString: absolute)
    }
}

/// Ends the server that the pid file names. The number may long belong to another process, another redis-server even:
/// ours is the one that works in the directory.
private func endOrphan(of directory: String, log: Logger) {
    guard let text = readSmallFile(directory + "/redis.pid"), let pid = pid_t(text.prefix { $0.isNumber }), pid > 1,
        readSmallFile("/proc/\(pid)/comm")?.hasPrefix("redis-server") == true,
        let place = realpath("/proc/\(pid)/cwd", nil)
    else { return }
    defer { free(place) }
    guard String(cString: place) == directory else { return }
    log.warning("ending the redis-server that an earlier run left behind", ["pid": .int(Int(pid))])
    kill(pid, SIGTERM)
    // One that has ended and waits for its parent's notice has no working directory any more.
    for _ in 0..<500 where access("/proc/\(pid)/cwd/.", F_OK) == 0 { usleep(20_000) }
}

/// Removes the folder of a socket that a crash has left; `name` is the file that holds the socket's path.
private func removeLeftFolder(named name: String) {
    guard let text = readSmallFile(name), text.hasPrefix("/tmp/qm-"), text.hasSuffix("/redis.sock\n") else { return }
    let socket = String(text.dropLast())
    guard socket.split(separator: "/").count == 3 else { return }
    removeFolder(of: socket)
}

private func removeFolder(of socket: String) {
    unlink(socket)
    rmdir(String(socket.dropLast("/redis.sock".count)))
}

private func errorText() -> String { String(cString: strerror(errno)) }

func environmentValue(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}

/// Writes a file's text; a file that cannot be written is left as it is.
private func writeSmallFile(_ path: String, _ text: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    _ = text.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) }
}

/// A file's text, when it can be read and is below 64 KiB.
private func readSmallFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(descriptor, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
}

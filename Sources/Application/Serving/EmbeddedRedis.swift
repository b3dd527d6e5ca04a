import Digests
import EventLoops
import Glibc
import Telemetry

/// A redis-server of our own, on a private unix socket, with an append-only file in a data directory.
///
/// It dies with us (`setpriv --pdeathsig`), and only one process uses a directory at a time: our lock on it falls with
/// us. A server that was orphaned all the same is asked to shut down first.
final class EmbeddedRedis {
    /// Why it could not be started.
    struct StartError: Error, CustomStringConvertible {
        let description: String
    }

    let url: String
    private let process: pid_t
    private let socketFolder: String
    private let lock: Int32
    private let log: Logger

    /// - Parameters:
    ///   - directory: the data directory, made if it is not there.
    /// The calling thread must live as long as the process: the child is told to end when that thread does.
    init(directory given: String, log: Logger) throws(StartError) {
        self.log = log
        // redis-server goes into the directory and then opens its files: their names must not be relative.
        let directory = try EmbeddedRedis.makeDirectory(given)
        lock = open(directory + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw StartError(description: "cannot open \(directory)/lock: \(errorText())") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw StartError(description: "the data directory \(directory) is in use by another process")
        }
        EmbeddedRedis.endOrphan(of: directory, log: log)
        EmbeddedRedis.removeLeftFolder(named: directory + "/socket")
        // A unix socket's path is at most 107 bytes, which a data directory may well exceed.
        var template = Array("/tmp/qm-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw StartError(description: "cannot make a folder in /tmp: \(errorText())")
        }
        socketFolder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let socket = socketFolder + "/redis.sock"
        url = "unix://" + socket
        writeSmallFile(directory + "/socket", socket + "\n")
        process = try EmbeddedRedis.spawn([
            "setpriv", "--pdeathsig", "TERM", "redis-server", "--port", "0", "--unixsocket", socket, "--unixsocketperm",
            "700", "--dir", directory, "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--hash-max-listpack-value", "1024", "--pidfile",
            directory + "/redis.pid", "--logfile", directory + "/redis.log", "--daemonize", "no",
        ])
        do { try awaitSocket(socket, directory) } catch {
            EmbeddedRedis.removeFolder(of: socket)
            throw error
        }
        log.info("embedded redis started", ["directory": .string(directory), "pid": .int(Int(process))])
    }

    /// Asks the server to write everything and end, and waits for it.
    func stop() {
        kill(process, SIGTERM)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        EmbeddedRedis.removeFolder(of: socketFolder + "/redis.sock")
        close(lock)
        log.info("embedded redis stopped")
    }

    static var defaultDirectory: String {
        if let state = environmentValue("XDG_STATE_HOME") { return state + "/quartermaster" }
        return (environmentValue("HOME") ?? "/var/lib") + "/.local/state/quartermaster"
    }

    // MARK: Inside

    /// Makes the directory and those above it; returns its absolute path.
    private static func makeDirectory(_ path: String) throws(StartError) -> String {
        var made = ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(made, 0o700) != 0, errno != EEXIST {
                throw StartError(description: "cannot make the data directory \(path): \(errorText())")
            }
        }
        guard let absolute = realpath(path, nil) else {
            throw StartError(description: "cannot use the data directory \(path): \(errorText())")
        }
        defer { free(absolute) }
        return String(cString: absolute)
    }

    /// Ends the server that the pid file names. The number may long belong to another process, another redis-server even:
    /// ours is the one that works in the directory.
    private static func endOrphan(of directory: String, log: Logger) {
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
    private static func removeLeftFolder(named name: String) {
        guard let text = readSmallFile(name), text.hasPrefix("/tmp/qm-"), text.hasSuffix("/redis.sock\n") else {
            return
        }
        let socket = String(text.dropLast())
        guard socket.split(separator: "/").count == 3 else { return }
        removeFolder(of: socket)
    }

    private static func removeFolder(of socket: String) {
        unlink(socket)
        rmdir(String(socket.dropLast("/redis.sock".count)))
    }

    private static func spawn(_ arguments: [String]) throws(StartError) -> pid_t {
        var process = pid_t()
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The child must not inherit our blocked signals, and a Ctrl-C at the terminal is ours alone to handle.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_adddup2(&files, 2, 1)
        let words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let result = posix_spawnp(&process, words[0]!, &files, &attributes, words, environ)
        guard result == 0 else {
            throw StartError(description: "cannot start \(arguments[0]): \(String(cString: strerror(result)))")
        }
        return process
    }

    private func awaitSocket(_ socket: String, _ directory: String) throws(StartError) {
        for _ in 0..<1500 {
            if let descriptor = try? Sockets.connect(.unix(path: socket)) {
                close(descriptor)
                return
            }
            var status: Int32 = 0
            if waitpid(process, &status, WNOHANG) == process {
                throw StartError(
                    description: "redis-server ended at once; is it installed? see \(directory)/redis.log")
            }
            usleep(20_000)
        }
        kill(process, SIGTERM)
        throw StartError(description: "redis-server did not open its socket within 30 s; see \(directory)/redis.log")
    }
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
func readSmallFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(descriptor, &bytes, bytes.count)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
}

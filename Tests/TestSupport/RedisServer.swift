import EventLoops
import Glibc
import Synchronization

/// A real redis-server for tests, on a unix socket in a temporary folder.
///
/// The program is `redis-server` from PATH, or what `QM_REDIS_SERVER` names. Without one every test that needs it fails:
/// none is skipped.
public final class RedisServer: Sendable {
    public struct Options: Sendable {
        /// Further arguments of redis-server.
        public var arguments: [String] = []
        /// Listens on a free TCP port of the loopback as well.
        public var listensOnTCP = false
        /// Keeps an append-only file, so that a restart finds what was there.
        public var isPersistent = false

        public init(arguments: [String] = [], listensOnTCP: Bool = false, isPersistent: Bool = false) {
            self.arguments = arguments
            self.listensOnTCP = listensOnTCP
            self.isPersistent = isPersistent
        }
    }

    private let folder: TemporaryFolder
    private let arguments: [String]
    private let process: Mutex<ChildProcess>
    /// The TCP port, when there is one.
    public let port: Int?

    public var socketPath: String { folder.path + "/redis.sock" }
    /// By which a server of Quartermaster's finds it (`RedisUsers`).
    public var url: String { "unix://" + RedisUsers.credentials("server") + socketPath }
    /// For tests that run the program's scripts and look at what they left: as `server`, who may read in any way.
    public var lookingURL: String { "unix://" + RedisUsers.credentials("looking") + socketPath }
    public var workerURL: String { "unix://" + RedisUsers.credentials("worker") + socketPath }
    public var tcpURL: String { "redis://" + RedisUsers.credentials("server") + "127.0.0.1:\(port!)" }
    public var pid: pid_t { process.withLock { $0.pid } }

    private static let sharedServer = Result { try RedisServer(options: Options(listensOnTCP: true)) }

    /// One server for the whole test process; tests keep apart by `prefix()`. Not for tests that stop, flush or
    /// reconfigure it.
    public static var shared: RedisServer { get throws { try sharedServer.get() } }

    /// A server of one's own.
    public init(options: Options = Options()) throws {
        folder = try TemporaryFolder()
        port = options.listensOnTCP ? try freePort() : nil
        arguments =
            [
                Environment["QM_REDIS_SERVER"] ?? "redis-server", "--port", String(port ?? 0), "--bind", "127.0.0.1",
                "--unixsocket", folder.path + "/redis.sock", "--dir", folder.path, "--save", "", "--appendonly",
                options.isPersistent ? "yes" : "no", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
                "--daemonize", "no",
            ] + (try RedisUsers.arguments(in: folder.path)) + options.arguments
        process = Mutex(try ChildProcess(arguments, output: folder.path + "/redis.log"))
        try awaitAnswer()
    }

    // MARK: What may happen to it

    /// Stops the process: it accepts, and answers nothing.
    public func pause() { process.withLock { $0.signal(SIGSTOP) } }

    public func resume() { process.withLock { $0.signal(SIGCONT) } }

    /// As if the power had gone.
    public func kill() { process.withLock { $0.kill() } }

    public var isDown: Bool { process.withLock { $0.hasEnded } }

    /// Starts it again at the same place; kills it before, if it runs.
    public func restart() throws {
        kill()
        unlink(socketPath)
        let fresh = try ChildProcess(arguments, output: folder.path + "/redis.log")
        process.withLock { $0 = fresh }
        try awaitAnswer()
    }

    // MARK: Using it

    private static let prefixes = Atomic<Int>(0)

    /// Begins keys that no other test has.
    public func prefix() -> String {
        "t\(RedisServer.prefixes.wrappingAdd(1, ordering: .relaxed).newValue):"
    }

    /// A connection of the tests' own.
    public func connect() throws -> RESPConnection { try RESPConnection(.unix(path: socketPath)) }

    /// Runs one command on a connection of its own; the elements of an array are on lines of their own. An error reply
    /// throws.
    @discardableResult
    public func redis(_ words: String...) throws -> String { try connect().command(words).text }

    private func awaitAnswer() throws {
        let endUs = MonotonicClock.nowUs() + longestWaitUs
        while MonotonicClock.nowUs() < endUs {
            if let answer = try? connect().command(["PING"]).text {
                // One that asks for a password is up as well.
                if answer == "PONG" { return }
            } else if let connection = try? connect(), (try? connection.exchange(["PING"])) != nil {
                return
            }
            if process.withLock({ $0.hasEnded }) {
                throw SetUpFailure(
                    "\(arguments[0]) did not start; is it installed? \(arguments.joined(separator: " "))")
            }
            usleep(5000)
        }
        throw SetUpFailure("\(arguments[0]) did not answer within 30 s")
    }
}

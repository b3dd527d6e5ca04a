import EventLoops
import Glibc
import Synchronization
import Telemetry

/// A redis-server of our own, on a private unix socket, with an append-only file in a data directory.
///
/// One that ends without being told to is started again, after a pause that grows. One that goes on ending makes the program
/// end, too: `hasGivenUp` is true then, and the process gets a SIGTERM. The server dies with us (`setpriv --pdeathsig`).
final class EmbeddedRedis: Sendable {
    /// Why it could not be started.
    struct StartError: Error, CustomStringConvertible {
        let description: String
    }

    private struct State {
        var process: pid_t?
        /// It has opened its socket once, so it is worth starting again.
        var wasUp = false
        var isStopping = false
        var hasGivenUp = false
        var startError: StartError?
    }

    let url: String
    private let directory: RedisDirectory
    private let log: Logger
    private let state = Mutex(State())
    /// Its writing end is closed when the thread that keeps the server up is done.
    private let end: (reading: Int32, writing: Int32)

    /// So many ends in a row, each within `steadyUs` of its start, and it is given up.
    private static let mostEnds = 5
    private static let steadyUs: Int64 = 60_000_000
    private static let firstPauseMs = 100
    private static let stopMs: Int32 = 60_000

    /// - Parameter given: the data directory, made if it is not there.
    init(directory given: String, log: Logger) throws(StartError) {
        self.log = log
        directory = try RedisDirectory(given, log: log)
        url = "unix://" + directory.socket
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw StartError(description: "cannot make a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        end = (ends[0], ends[1])
        // A child is told to end when the thread that started it does: this one lives as long as there is a server.
        Threads.start("qm-redis") { [self] in
            keepUp()
            close(end.writing)
        }
        do { try awaitSocket() } catch {
            stop()
            throw error
        }
        log.info("embedded redis started", ["directory": .string(directory.path), "pid": .int(Int(process ?? 0))])
    }

    /// Whether it ended too often to be started once more.
    var hasGivenUp: Bool { state.withLock { $0.hasGivenUp } }

    /// Asks the server to write everything and end, and waits for it.
    func stop() {
        tell(SIGTERM)
        if !hasEnded(withinMs: EmbeddedRedis.stopMs) {
            log.error("the embedded redis did not end when told to; it is killed")
            tell(SIGKILL)
            _ = hasEnded(withinMs: -1)
        }
        close(end.reading)
        directory.release()
        log.info("embedded redis stopped")
    }

    private var process: pid_t? { state.withLock { $0.process } }
    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func tell(_ signal: Int32) {
        state.withLock {
            $0.isStopping = true
            if let process = $0.process { kill(process, signal) }
        }
    }

    private func hasEnded(withinMs ms: Int32) -> Bool {
        var ended = pollfd(fd: end.reading, events: Int16(POLLIN), revents: 0)
        while true {
            let result = poll(&ended, 1, ms)
            if result >= 0 || errno != EINTR { return result > 0 }
        }
    }

    // MARK: On its own thread

    /// Starts the server, and again whenever it has ended, until it is to stop or has ended too often.
    private func keepUp() {
        var ends = 0
        while true {
            let startUs = MonotonicClock.nowUs()
            let status: String
            do {
                guard try launch() else { return }
                status = awaitEnd()
            } catch { status = error.description }
            let (isStopping, wasUp) = state.withLock { ($0.isStopping, $0.wasUp) }
            if isStopping { return }
            guard wasUp else {
                let reason =
                    "redis-server ended at once (\(status)); is it installed? see \(directory.path)/redis.log"
                return state.withLock { $0.startError = StartError(description: reason) }
            }
            ends = MonotonicClock.nowUs() - startUs < EmbeddedRedis.steadyUs ? ends + 1 : 1
            let names: LogFields = [
                "status": .string(status), "ends": .int(ends), "directory": .string(directory.path),
            ]
            guard ends < EmbeddedRedis.mostEnds else {
                log.error("the embedded redis has ended too often; the program ends, too", names)
                state.withLock { $0.hasGivenUp = true }
                kill(getpid(), SIGTERM)
                return
            }
            log.error("the embedded redis has ended; it is started again", names)
            pause(ms: EmbeddedRedis.firstPauseMs << (ends - 1))
        }
    }

    /// False when it is not to be started any more.
    private func launch() throws(StartError) -> Bool {
        let result = state.withLock { state -> Result<Bool, StartError> in
            if state.isStopping { return .success(false) }
            do throws(StartError) {
                state.process = try EmbeddedRedis.spawn(directory)
                return .success(true)
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Blocks until the server has ended; how it did.
    private func awaitEnd() -> String {
        guard let process else { return "" }
        var info = siginfo_t()
        // Its number stays its own until it is asked for below, so that no signal of ours meets another process.
        while waitid(P_PID, id_t(process), &info, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        let status = state.withLock { state -> Int32 in
            var status: Int32 = 0
            waitpid(process, &status, 0)
            state.process = nil
            return status
        }
        return status & 0x7F == 0 ? "exit code \(status >> 8 & 0xFF)" : "signal \(status & 0x7F)"
    }

    private func pause(ms: Int) {
        for _ in 0..<(ms / 20) where !isStopping { usleep(20_000) }
    }

    private static func spawn(_ directory: RedisDirectory) throws(StartError) -> pid_t {
        let arguments = [
            "setpriv", "--pdeathsig", "TERM", "redis-server", "--port", "0", "--unixsocket", directory.socket,
            "--unixsocketperm", "700", "--dir", directory.path, "--appendonly", "yes", "--appendfsync", "everysec",
            "--save", "", "--maxmemory-policy", "noeviction", "--hash-max-listpack-value", "1024", "--pidfile",
            directory.path + "/redis.pid", "--logfile", directory.path + "/redis.log", "--daemonize", "no",
        ]
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
        let result = posix_spawnp(&process, arguments[0], &files, &attributes, words, environ)
        guard result == 0 else {
            throw StartError(description: "cannot start \(arguments[0]): \(String(cString: strerror(result)))")
        }
        return process
    }

    // MARK: On the thread that starts it

    private func awaitSocket() throws(StartError) {
        for _ in 0..<1500 {
            if let descriptor = try? Sockets.connect(.unix(path: directory.socket)) {
                close(descriptor)
                return state.withLock { $0.wasUp = true }
            }
            if let error = state.withLock({ $0.startError }) { throw error }
            usleep(20_000)
        }
        throw StartError(
            description: "redis-server did not open its socket within 30 s; see \(directory.path)/redis.log")
    }
}

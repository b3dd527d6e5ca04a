import EventLoops
import Glibc

/// A program that a test started. It is killed when this object goes, when the test process ends, and when it crashes.
public final class ChildProcess: @unchecked Sendable {
    // Unchecked because the state is only touched under the lock.
    public let pid: pid_t
    private let lock = Lock()
    private var status: Int32?

    /// A child with a parent-death signal dies with the *thread* that started it, so one thread that never ends starts
    /// them all.
    private static let spawner = LoopThread("test-spawner")

    /// - Parameters:
    ///   - arguments: the program, found on PATH, and its arguments.
    ///   - output: a file for its standard output and error; nil: they go to those of the tests.
    ///   - errors: a file for its standard error alone.
    public init(_ arguments: [String], output: String? = nil, errors: String? = nil) throws {
        pid = try ChildProcess.spawner.runBlocking { ChildProcess.spawn(arguments, output, errors) }.get()
    }

    deinit { kill() }

    /// Sends a signal, unless the child has ended.
    public func signal(_ number: Int32) {
        lock.withLock { if status == nil { _ = Glibc.kill(pid, number) } }
    }

    /// Kills the child and waits for its end.
    public func kill() {
        signal(SIGKILL)
        wait()
    }

    /// Blocks until the child has ended; its status as of `waitpid`. One that lasts longer than a test waits is killed.
    @discardableResult
    public func wait() -> Int32 {
        if !blockingUntil({ hasEnded }) { signal(SIGKILL) }
        return lock.withLock {
            if let status { return status }
            var ended: Int32 = 0
            while waitpid(pid, &ended, 0) < 0, errno == EINTR {}
            status = ended
            return ended
        }
    }

    public var hasEnded: Bool {
        lock.withLock {
            if status != nil { return true }
            var ended: Int32 = 0
            if waitpid(pid, &ended, WNOHANG) == pid { status = ended }
            return status != nil
        }
    }

    private static func spawn(
        _ arguments: [String], _ output: String?, _ errors: String?
    ) -> Result<pid_t, SetUpFailure> {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        if let output {
            posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            posix_spawn_file_actions_adddup2(&files, 1, 2)
        }
        if let errors { posix_spawn_file_actions_addopen(&files, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600) }
        let words = (["setpriv", "--pdeathsig", "KILL"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid = pid_t()
        let result = posix_spawnp(&pid, words[0]!, &files, &attributes, words, environ)
        guard result == 0 else {
            return .failure(SetUpFailure("cannot start setpriv: \(String(cString: strerror(result)))"))
        }
        return .success(pid)
    }
}

/// A folder with a short path (a unix socket's has to stay below 108 bytes), removed when this object goes or when the
/// process ends; what a crashed process has left is removed by the next.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() throws {
        _ = TemporaryFolder.cleaner
        var template = Array("/tmp/qmt-\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SetUpFailure("cannot make a folder in /tmp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { TemporaryFolder.remove(path) }

    /// Removes what processes that are gone have left, and sees to it that we leave nothing.
    private static let cleaner: Void = {
        for name in names(in: "/tmp") where name.hasPrefix("qmt-") {
            let owner = name.split(separator: "-").dropFirst().first.flatMap { pid_t($0) } ?? 0
            if owner > 0, kill(owner, 0) != 0, errno == ESRCH { remove("/tmp/" + name) }
        }
        atexit {
            for name in TemporaryFolder.names(in: "/tmp") where name.hasPrefix("qmt-\(getpid())-") {
                TemporaryFolder.remove("/tmp/" + name)
            }
        }
    }()

    private static func remove(_ path: String) {
        for name in names(in: path) {
            if unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        }
        rmdir(path)
    }

    private static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

import CLinux
import Glibc

/// A program that runs beside a loop: started, watched and reaped without ever blocking it.
///
/// It leads a process group of its own, has descriptors 0, 1 and 2 only, works in `/`, and is killed by the kernel when
/// this process ends, however that comes about (`PR_SET_PDEATHSIG`). That holds for the program itself, unless it is
/// set-user-ID, has file capabilities or undoes it; what the program has started is killed when the program ends while
/// we live, and outlives us both when we are killed.
public final class Subprocess {
    public struct Program: Sendable {
        /// An absolute path.
        public var path: String
        /// The first one is the program's name.
        public var arguments: [String]
        /// `NAME=value`.
        public var environment: [String]
        /// What it reads from its standard input.
        public var input: [UInt8] = []
        /// How much of its output, and of its errors, is kept; the rest is read and dropped.
        public var mostOutput = 65_536

        public init(path: String, arguments: [String], environment: [String]) {
            self.path = path
            self.arguments = arguments
            self.environment = environment
        }
    }

    /// How it ended.
    public struct Outcome: Sendable {
        /// As of `waitpid`.
        fileprivate let status: Int32
        public let output: Captured
        public let errors: Captured

        /// The code it exited with; nil when a signal ended it.
        public var exitCode: Int? { status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : nil }
        /// The signal that ended it; nil when it exited.
        public var signal: Int? { status & 0x7F == 0 ? nil : Int(status & 0x7F) }
    }

    /// What came out of a pipe.
    public struct Captured: Sendable {
        public fileprivate(set) var bytes: [UInt8] = []
        /// Whether there was more than was kept.
        public fileprivate(set) var isCut = false
    }

    private let loop: EventLoop
    private let handles: ProcessHandles
    private let outputs: [PipeReader]
    private var exitWatcher: Watcher?
    private var killTimer: LoopTimer?
    private var isOver = false

    /// Runs a program to its end, on the caller's loop.
    /// - Parameter started: called once it runs, with what may end it early.
    /// - Throws: when it could not be started.
    public static func run(
        _ program: Program, on loop: EventLoop, started: (Subprocess) -> Void
    ) async throws(Sockets.Failure) -> Outcome {
        // exec reads the program from the disk. The pool's threads live as long as the process, which the parent-death
        // signal needs.
        let handles = try await BlockingPool.shared.run { ProcessHandles.start(program) }.get()
        let process = Subprocess(handles, loop: loop, mostOutput: program.mostOutput)
        let status = await suspend { (resume: @escaping (Int32) -> Void) in
            process.watch(resume)
            started(process)
        }
        return Outcome(status: status, output: process.outputs[0].captured, errors: process.outputs[1].captured)
    }

    private init(_ handles: ProcessHandles, loop: EventLoop, mostOutput: Int) {
        self.loop = loop
        self.handles = handles
        outputs = [handles.output, handles.errors].map { PipeReader(loop: loop, descriptor: $0, most: mostOutput) }
    }

    /// Asks the program's group to end, and kills it when it has not within `graceUs`.
    public func terminate(graceUs: Int64) {
        guard !isOver, killTimer == nil else { return }
        signal(SIGTERM)
        killTimer = loop.after(us: graceUs) { [unowned self] in signal(SIGKILL) }
    }

    /// Its id cannot be another's: nobody but us reaps it, and then this is over.
    private func signal(_ number: Int32) {
        if isOver { return }
        if kill(-handles.pid, number) != 0 { kill(handles.pid, number) }
    }

    private func watch(_ ended: @escaping (Int32) -> Void) {
        for output in outputs { output.start() }
        let watcher = Watcher(loop: loop, descriptor: handles.exit) { [unowned self] _ in reap(ended) }
        exitWatcher = watcher
        watcher.start()
    }

    private func reap(_ ended: (Int32) -> Void) {
        guard !isOver else { return }
        // Before the program is reaped, while its id, which is also its group's, cannot be given to another.
        signal(SIGKILL)
        var status: Int32 = 0
        guard waitpid(handles.pid, &status, WNOHANG) == handles.pid else { return }
        isOver = true
        killTimer = nil
        exitWatcher?.stop()
        exitWatcher = nil
        close(handles.exit)
        for output in outputs { output.finish() }
        ended(status)
    }
}

/// The descriptors of a program that was started.
private struct ProcessHandles: Sendable {
    let pid: pid_t
    /// Becomes readable when the program has ended.
    let exit: Int32
    let output: Int32
    let errors: Int32

    /// Starts the program. Blocks the calling thread, which must live as long as the process.
    static func start(_ program: Subprocess.Program) -> Result<ProcessHandles, Sockets.Failure> {
        var opened: [Int32] = []
        func fail(_ call: String, _ code: Int32 = errno) -> Result<ProcessHandles, Sockets.Failure> {
            for descriptor in opened { close(descriptor) }
            return .failure(Sockets.Failure(call: call, code: code))
        }
        let input = qm_memory_file()
        guard input >= 0 else { return fail("memfd_create") }
        opened.append(input)
        guard write(program.input, to: input), lseek(input, 0, SEEK_SET) == 0 else { return fail("write") }
        var pipes: [[Int32]] = []
        for _ in 0..<2 {
            var ends: [Int32] = [0, 0]
            guard pipe2(&ends, O_CLOEXEC) == 0 else { return fail("pipe") }
            opened += ends
            pipes.append(ends)
            // Ours alone: the program's end is to block when we are slow.
            guard fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 else { return fail("fcntl") }
        }
        let pid = spawn(program, input: input, output: pipes[0][1], errors: pipes[1][1])
        guard pid > 0 else { return fail(program.path, -pid) }
        let exit = qm_pidfd(pid)
        guard exit >= 0 else {
            let code = errno
            kill(-pid, SIGKILL)
            while waitpid(pid, nil, 0) < 0, errno == EINTR {}
            return fail("pidfd_open", code)
        }
        for descriptor in [input, pipes[0][1], pipes[1][1]] { close(descriptor) }
        return .success(ProcessHandles(pid: pid, exit: exit, output: pipes[0][0], errors: pipes[1][0]))
    }

    private static func spawn(
        _ program: Subprocess.Program, input: Int32, output: Int32, errors: Int32
    ) -> pid_t {
        let arguments = program.arguments.map { strdup($0) } + [nil]
        let environment = program.environment.map { strdup($0) } + [nil]
        defer { for word in arguments + environment { free(word) } }
        return arguments.withUnsafeBufferPointer { arguments in
            environment.withUnsafeBufferPointer { environment in
                program.path.withCString { path in
                    "/".withCString { folder in
                        var call = qm_program(
                            path: path, arguments: arguments.baseAddress, environment: environment.baseAddress,
                            folder: folder, input: input, output: output, errors: errors)
                        return qm_spawn(&call)
                    }
                }
            }
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + at, $0.count - at) }
            guard count > 0 else { return false }
            at += count
        }
        return true
    }
}

/// Reads a pipe to its end, and keeps the beginning.
private final class PipeReader {
    private(set) var captured = Subprocess.Captured()
    private let loop: EventLoop
    private let descriptor: Int32
    private let most: Int
    private var watcher: Watcher?

    init(loop: EventLoop, descriptor: Int32, most: Int) {
        self.loop = loop
        self.descriptor = descriptor
        self.most = most
    }

    func start() {
        let watcher = Watcher(loop: loop, descriptor: descriptor) { [unowned self] _ in
            if readOnce() == .end { stop() }
        }
        self.watcher = watcher
        watcher.start()
    }

    /// Takes what is still in the pipe, and lets go of it: a process that left the group may keep it open for ever.
    func finish() {
        guard watcher != nil else { return }
        // A pipe holds 64 KiB unless someone has enlarged it, to 1 MiB at most.
        for _ in 0..<16 {
            if readOnce() != .more { break }
        }
        stop()
    }

    private func stop() {
        guard let watcher else { return }
        watcher.stop()
        self.watcher = nil
        close(descriptor)
    }

    private enum Step { case more, nothing, end }

    private func readOnce() -> Step {
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 { return errno == EAGAIN || errno == EINTR ? .nothing : .end }
            if count == 0 { return .end }
            let kept = min(count, most - captured.bytes.count)
            captured.bytes.append(contentsOf: buffer.prefix(kept))
            if kept < count { captured.isCut = true }
            return .more
        }
    }
}

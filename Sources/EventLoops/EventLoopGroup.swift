import Glibc

/// The loops of a process, each on a thread of its own.
public final class EventLoopGroup: Sendable {
    public let loops: [EventLoop]

    /// Makes the loops; `start` gives them their threads.
    public init(count: Int) {
        precondition(count > 0)
        loops = (0..<count).map { EventLoop(index: $0) }
    }

    public func start() {
        for loop in loops {
            Threads.start("qm-loop-\(loop.index)") { loop.run() }
        }
    }

    public func stop() {
        for loop in loops { loop.stop() }
    }
}

extension EventLoop {
    /// Runs `body` on this loop, from any thread or loop, and resumes the caller where it was.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result {
        await withUnsafeContinuation { continuation in
            send { [unowned self] in
                spawn { continuation.resume(returning: await body()) }
            }
        }
    }

    /// Runs `body` on this loop and blocks the calling thread, which is no loop's, until it is done.
    public func runBlocking<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Result {
        precondition(EventLoop.current == nil, "a loop's thread never blocks")
        let box = BlockingResult<Result>()
        send { [unowned self] in
            spawn { box.fulfil(await body()) }
        }
        return box.wait()
    }
}

private final class BlockingResult<Value: Sendable>: @unchecked Sendable {
    // Unchecked because the value is written before the semaphore is posted and read after it was waited for.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var value: Value?

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func fulfil(_ value: Value) {
        self.value = value
        sem_post(semaphore)
    }

    func wait() -> Value {
        while sem_wait(semaphore) != 0 {}
        return value!
    }
}

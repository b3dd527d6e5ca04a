import EventLoops

/// An event loop on a thread of its own, for as long as this object lives.
public final class LoopThread: Sendable {
    public let loop = EventLoop()

    public init(_ name: String = "test-loop") {
        Threads.start(name) { [loop] in loop.run() }
    }

    deinit { loop.stop() }

    /// Runs `body` on the loop and resumes the caller where it was.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result {
        await loop.run(body)
    }

    /// Runs `body` on the loop; what it throws is thrown here.
    public func run<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        try await loop.run { () async -> Swift.Result<Result, any Error> in
            do { return .success(try await body()) } catch { return .failure(error) }
        }.get()
    }

    /// The same for a thread that may block.
    public func runBlocking<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Result {
        loop.runBlocking(body)
    }
}

/// Something that belongs to a loop: it is made, used and let go of there.
public final class OnLoop<Value: AnyObject>: @unchecked Sendable {
    // Unchecked because the value is touched on its loop only.
    public let thread: LoopThread
    private let held: Unmanaged<Value>

    public init(_ thread: LoopThread = LoopThread(), _ make: @escaping @Sendable (EventLoop) -> Value) async {
        self.thread = thread
        let box = await thread.run { [loop = thread.loop] in Box(held: Unmanaged.passRetained(make(loop))) }
        held = box.held
    }

    deinit {
        let box = Box(held: held)
        thread.loop.send { box.held.release() }
    }

    /// Runs `body` with the value on the loop.
    public func run<Result: Sendable>(
        _ body: @escaping @Sendable (Value) async throws -> Result
    ) async throws -> Result {
        try await thread.run { [self] in try await body(held.takeUnretainedValue()) }
    }

    private struct Box: @unchecked Sendable { let held: Unmanaged<Value> }
}

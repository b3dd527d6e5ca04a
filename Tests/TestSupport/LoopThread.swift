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

    /// Makes something that belongs to the loop.
    public func make<Value>(_ body: @escaping @Sendable (EventLoop) async -> Value) async -> LoopBound<Value> {
        await loop.run { [loop] in LoopBound(await body(loop), loop: loop) }
    }
}

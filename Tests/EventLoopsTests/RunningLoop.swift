import EventLoops
import Glibc
import Synchronization

/// A loop on a thread of its own, which ends with this object.
final class RunningLoop: Sendable {
    let loop = EventLoop()

    init() {
        signal(SIGPIPE, SIG_IGN)
        Threads.start("test-loop") { [loop] in loop.run() }
    }

    deinit { loop.stop() }

    /// Runs `body` on the loop.
    func callAsFunction<Result: Sendable>(_ body: @escaping @Sendable (EventLoop) async -> Result) async -> Result {
        await loop.run { [loop] in await body(loop) }
    }
}

/// What happened, in order, from any thread.
final class Events: Sendable {
    private let list = Mutex<[String]>([])

    func add(_ event: String) { list.withLock { $0.append(event) } }
    var all: [String] { list.withLock { $0 } }
    var count: Int { list.withLock { $0.count } }
}

/// Waits on a loop until `condition` holds there, at most 30 s.
func eventually(_ loop: EventLoop, _ condition: () -> Bool) async -> Bool {
    let endUs = MonotonicClock.nowUs() + 30_000_000
    while !condition() {
        if MonotonicClock.nowUs() > endUs { return false }
        await loop.sleep(us: 1000)
    }
    return true
}

/// Does what it is told at the end of the tick.
final class Item: EndOfTick {
    private let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }

    func endOfTick() { body() }
}

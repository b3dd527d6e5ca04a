import EventLoops
import Glibc

/// How long a test waits for what must happen.
public let longestWaitUs: Int64 = 30_000_000

/// Waits until `condition` holds, 30 s at most; says whether it did.
public func eventually(
    isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let endUs = MonotonicClock.nowUs() + longestWaitUs
    while MonotonicClock.nowUs() < endUs {
        if try await condition() { return true }
        try? await Task.sleep(nanoseconds: 2_000_000)
    }
    return try await condition()
}

/// The same without suspending, for tests that measure time: a suspended test waits for the threads that others block.
public func blockingUntil(_ condition: () throws -> Bool) rethrows -> Bool {
    let endUs = MonotonicClock.nowUs() + longestWaitUs
    while MonotonicClock.nowUs() < endUs {
        if try condition() { return true }
        usleep(2000)
    }
    return try condition()
}

/// What happened on loops and threads, in order, for a test elsewhere to look at.
public final class Journal<Entry: Sendable>: @unchecked Sendable {
    // Unchecked because the list is only touched under the lock.
    private let lock = Lock()
    private var entries: [Entry] = []

    public init() {}

    public func add(_ entry: Entry) { lock.withLock { entries.append(entry) } }

    public var all: [Entry] { lock.withLock { entries } }

    public var count: Int { lock.withLock { entries.count } }
}

/// A value that tasks and threads of a test change in turn.
public final class Shared<Value: Sendable>: @unchecked Sendable {
    // Unchecked because the value is only touched under the lock.
    private let lock = Lock()
    private var value: Value

    public init(_ value: Value) { self.value = value }

    public func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }
}

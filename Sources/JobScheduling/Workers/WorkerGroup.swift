import EventLoops
import Synchronization

/// What the loops of a working process know of each other: who has free slots, and how to reach it.
final class WorkerGroup: Sendable {
    private struct Member: Sendable {
        var slots: Int
        var free: Int
        let wake: @Sendable (QueueName) -> Void
        let end: @Sendable (JobID, Execution.Ending) -> Void
    }

    private struct State {
        var members: [Int: Member] = [:]
        var queues: Set<QueueName> = []
        var whenFree: [@Sendable () -> Void] = []
        var due: (@Sendable (QueueName, Int) -> Void)?
    }

    /// Names the process to others.
    let name: String
    let loops: Int
    private let state = Mutex(State())

    init(name: String, loops: Int) {
        self.name = name
        self.loops = loops
    }

    /// Adds a loop; returns the queues that are known so far, later ones it is told of.
    func join(
        _ loop: Int, slots: Int, wake: @escaping @Sendable (QueueName) -> Void,
        end: @escaping @Sendable (JobID, Execution.Ending) -> Void
    ) -> Set<QueueName> {
        state.withLock { state in
            state.members[loop] = Member(slots: slots, free: slots, wake: wake, end: end)
            return state.queues
        }
    }

    func leave(_ loop: Int) { state.withLock { $0.members[loop] = nil } }

    func setFree(_ free: Int, ofLoop loop: Int) {
        let waiting = state.withLock { state -> [@Sendable () -> Void] in
            guard state.members[loop]?.free != free else { return [] }
            state.members[loop]?.free = free
            guard free > 0 else { return [] }
            defer { state.whenFree = [] }
            return state.whenFree
        }
        for tell in waiting { tell() }
    }

    var running: Int { state.withLock { $0.members.values.reduce(0) { $0 + $1.slots - $1.free } } }

    /// Wakes the loop with the most free slots; of equal ones the first, on which the markers are heard.
    func wake(_ queue: QueueName) {
        state.withLock { $0.members.max { ($0.value.free, -$0.key) < ($1.value.free, -$1.key) } }?.value.wake(queue)
    }

    /// A queue that every loop is to serve.
    func serve(_ queue: QueueName) {
        let members = state.withLock { state in
            state.queues.insert(queue)
            return Array(state.members.values)
        }
        for member in members { member.wake(queue) }
    }

    func end(_ id: JobID, _ reason: Execution.Ending) {
        for member in state.withLock({ Array($0.members.values) }) { member.end(id, reason) }
    }

    var hasFree: Bool { state.withLock { $0.members.values.contains { $0.free > 0 } } }

    /// Calls `body` once when some loop has a free slot, which may be at once.
    func whenFree(_ body: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { state in
            if state.members.values.contains(where: { $0.free > 0 }) { return true }
            state.whenFree.append(body)
            return false
        }
        if isFree { body() }
    }

    /// Who is to be told that something is due.
    func onDue(_ body: @escaping @Sendable (QueueName, Int) -> Void) { state.withLock { $0.due = body } }

    func isDue(_ queue: QueueName, inMs ms: Int) { state.withLock { $0.due }?(queue, ms) }
}

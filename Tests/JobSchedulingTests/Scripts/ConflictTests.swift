import TestSupport
import Testing

@testable import JobScheduling

/// Jobs that must not run together, under a given clock.
struct ConflictTests {
    private typealias New = ScriptedQueue.New

    private static func job(_ strategy: String, delayMs: Int = 0) -> New {
        New(fields: ["conflict": "\(strategy) \(delayMs) db"])
    }

    @Test func queueRunsOneAtATimeInOrder() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue((0..<4).map { _ in ConflictTests.job("queue") }).first
        for number in first..<(first + 4) {
            let leases = try queue.exchange("w", most: 10).leases
            #expect(leases.map(\.number) == [number])
            #expect(try queue.faults() == [])
            try queue.complete("w", leases)
        }
        #expect(try queue.members("waiting") == [] && queue.members("ended").count == 4)
    }

    @Test func aHolderThatIsLostLetsTheNextOneGo() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue((0..<2).map { _ in ConflictTests.job("queue") }).first
        #expect(try queue.exchange("gone", most: 10).leases.count == 1)
        for _ in 0..<5 {
            queue.nowMs += 3100
            try queue.tick()
        }
        // Given back, it is in line again; whoever is first, they do not run together.
        let next = try queue.exchange("w", most: 10).leases
        #expect(next.count == 1)
        try queue.complete("w", next)
        let last = try queue.exchange("w", most: 10).leases
        #expect(Set((next + last).map(\.number)) == [first, first + 1])
    }

    @Test func cancelEndsTheOneThatMeetsAnother() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([ConflictTests.job("queue"), ConflictTests.job("cancel")]).first
        #expect(try queue.exchange("w", most: 10).leases.map(\.number) == [first])
        let state = try queue.state(first + 1)
        #expect(state.word == "cancelled" && state.text("reason")?.hasPrefix("conflict") == true)
    }

    @Test func rescheduleComesBackAfterItsDelayThreeTimes() throws {
        let queue = try ScriptedQueue()
        var holder = try queue.exchange("w", most: 0).leases
        func takeTheResource() throws {
            let number = try queue.enqueue([ConflictTests.job("queue")]).first
            holder = try queue.exchange("w", most: 1).leases
            #expect(holder.map(\.number) == [number])
        }
        try takeTheResource()
        let moved = try queue.enqueue([ConflictTests.job("reschedule", delayMs: 500)]).first
        for meeting in 1...3 {
            #expect(try queue.exchange("w", most: 10).leases.isEmpty, "meeting \(meeting)")
            #expect(try queue.state(moved).word == "waiting")
            try queue.complete("w", holder)
            #expect(try queue.members("delayed") == [moved])
            try takeTheResource()
            queue.nowMs += 499
            try queue.tick()
            #expect(try queue.members("delayed") == [moved], "not before its delay")
            queue.nowMs += 1
        }
        #expect(try queue.exchange("w", most: 10).leases.isEmpty)
        #expect(try queue.state(moved).word == "cancelled", "a fourth meeting is its last")
        #expect(try queue.faults() == [])
    }

    @Test func rescheduleRunsWhenNobodyIsThere() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([ConflictTests.job("queue"), ConflictTests.job("reschedule", delayMs: 500)]).first
        let holder = try queue.exchange("w", most: 10).leases
        try queue.complete("w", holder)
        queue.nowMs += 500
        #expect(try queue.exchange("w", most: 10).leases.map(\.number) == [first + 1])
    }
}

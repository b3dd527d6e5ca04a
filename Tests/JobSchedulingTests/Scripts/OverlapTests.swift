import TestSupport
import Testing

@testable import JobScheduling

/// Runs of a schedule that meet one that goes on, under a given clock.
struct OverlapTests {
    private typealias New = ScriptedQueue.New
    private typealias Ended = ScriptedQueue.Ended

    /// A schedule of a slot each second, and the way to its next slot's run.
    private final class Slots {
        let queue: ScriptedQueue
        let schedule: Int
        private var slotMs: Int

        init(_ overlap: String, _ fields: [String: String] = [:]) throws {
            queue = try ScriptedQueue()
            slotMs = queue.nowMs
            let own = fields.merging(["schedule": "@every 1s", "overlap": overlap]) { $1 }
            schedule = try queue.enqueue([New(place: "schedules", dueMs: slotMs, fields: own)]).first
        }

        func fire() throws -> Int? {
            queue.nowMs = max(queue.nowMs, slotMs)
            defer { slotMs += 1000 }
            return try queue.fire(schedule, slotMs: slotMs, nextMs: slotMs + 1000)
        }

        func skipped() throws -> String? { try queue.fields(schedule)["skippedSlots"] }
    }

    @Test func aSlotIsOnesOnly() throws {
        let slots = try Slots("allow")
        let slotMs = slots.queue.nowMs
        #expect(try slots.fire() != nil)
        #expect(try slots.queue.fire(slots.schedule, slotMs: slotMs, nextMs: slotMs + 1000) == nil)
        #expect(try slots.queue.members("ready:noop").count == 1)
    }

    @Test func allowRunsBoth() throws {
        let slots = try Slots("allow")
        let runs = [try slots.fire(), try slots.fire()]
        #expect(try slots.queue.exchange("w", most: 5).leases.map(\.number) == runs.compactMap { $0 })
    }

    @Test func forbidLeavesOutWhatWouldBeTheSecond() throws {
        let slots = try Slots("forbid")
        let first = try #require(try slots.fire())
        #expect(try slots.fire() == nil, "it waits for its start")
        let lease = try slots.queue.exchange("w", most: 5).leases
        #expect(lease.map(\.number) == [first])
        #expect(try slots.fire() == nil, "it runs")
        #expect(try slots.skipped() == "2")
        try slots.queue.complete("w", lease)
        #expect(try slots.fire() != nil)
        #expect(try slots.queue.exchange("w", most: 5).leases.count == 1)
    }

    @Test func queueRunsOneAfterTheOther() throws {
        let slots = try Slots("queue", ["queueLimit": "2"])
        let runs = [try slots.fire(), try slots.fire(), try slots.fire()].compactMap { $0 }
        #expect(runs.count == 3)
        #expect(try slots.fire() == nil, "two wait at most")
        #expect(try slots.skipped() == "1")
        for run in runs {
            let leases = try slots.queue.exchange("w", most: 5).leases
            #expect(leases.map(\.number) == [run])
            try slots.queue.complete("w", leases)
        }
        #expect(try slots.queue.exchange("w", most: 5).leases.isEmpty)
        #expect(try slots.queue.fields(slots.schedule)["succeeded"] == "3")
    }

    @Test func oneThatIsCancelledWhileItWaitsHoldsNobodyUp() throws {
        let slots = try Slots("queue")
        let runs = [try slots.fire(), try slots.fire(), try slots.fire()].compactMap { $0 }
        let leases = try slots.queue.exchange("w", most: 5).leases
        #expect(try slots.queue.cancel(runs[1]) == "cancelled")
        #expect(try slots.queue.exchange("w", most: 5).leases.isEmpty, "the first has not ended yet")
        try slots.queue.complete("w", leases)
        #expect(try slots.queue.exchange("w", most: 5).leases.map(\.number) == [runs[2]])
    }

    @Test func replaceCancelsTheFirstAndOnlyTheNewestWaits() throws {
        let slots = try Slots("replace")
        let queue = slots.queue
        let first = try #require(try slots.fire())
        let lease = try #require(try queue.exchange("w", most: 5).leases.first)
        #expect(try queue.heartbeat("w", [lease]) == ["ok"])
        let second = try #require(try slots.fire())
        #expect(try queue.heartbeat("w", [lease]) == ["cancel"])
        let third = try #require(try slots.fire())
        #expect(try queue.fields(second).isEmpty && queue.members("waiting") == [third])
        #expect(try queue.exchange("w", most: 5).leases.isEmpty, "the first has not ended yet")
        let end = Ended(number: first, token: lease.token, outcome: "cancelled")
        #expect(try queue.exchange("w", [end], most: 0).results == ["ok"])
        #expect(try queue.exchange("w", most: 5).leases.map(\.number) == [third])
        #expect(try queue.fields(slots.schedule)["cancelled"] == "2")
        #expect(try queue.faults() == [])
    }

    @Test func replaceEndsWhatHasNotStartedAtOnce() throws {
        let slots = try Slots("replace")
        let first = try #require(try slots.fire())
        let second = try #require(try slots.fire())
        #expect(try slots.queue.exchange("w", most: 5).leases.map(\.number) == [second])
        #expect(try slots.queue.fields(first).isEmpty)
    }
}

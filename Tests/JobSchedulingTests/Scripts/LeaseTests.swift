import TestSupport
import Testing

@testable import JobScheduling

/// Leases and their ends, under a given clock.
struct LeaseTests {
    private typealias New = ScriptedQueue.New
    private typealias Ended = ScriptedQueue.Ended

    @Test func anOldLowJobOvertakesALateCriticalOne() throws {
        let queue = try ScriptedQueue()
        let low = try queue.enqueue([New(dueMs: Priority.low.targetMs)]).first
        queue.nowMs += Priority.low.targetMs - Priority.critical.targetMs
        let early = try queue.enqueue([New(dueMs: Priority.critical.targetMs)]).first
        queue.nowMs += 1
        let late = try queue.enqueue([New(dueMs: Priority.critical.targetMs)]).first
        let order = try queue.exchange("w", most: 3).leases.map(\.number)
        #expect(order == [low, early, late])
    }

    @Test func aRepeatedCallGetsTheSameJobs() throws {
        let queue = try ScriptedQueue()
        _ = try queue.enqueue([New(), New(), New()])
        let first = try queue.exchange("w", most: 2, call: 7).leases
        #expect(try queue.exchange("w", most: 2, call: 7).leases == first)
        #expect(try queue.exchange("w", most: 2, call: 8).leases.count == 1)
    }

    @Test func retryDelaysAreInTheUpperHalf() throws {
        for (jitter, delayMs) in [(0, 1000), (1000, 2000)] {
            let queue = try ScriptedQueue()
            let number = try queue.enqueue([New()]).first
            let lease = try #require(try queue.exchange("w", most: 1).leases.first)
            let ended = Ended(number: number, token: lease.token, outcome: "failed", text: "no", jitter: jitter)
            #expect(try queue.exchange("w", [ended], most: 0).results == ["ok"])
            queue.nowMs += delayMs - 1
            #expect(try queue.exchange("w", most: 1).leases.isEmpty, "\(jitter)")
            queue.nowMs += 1
            #expect(try queue.exchange("w", most: 1).leases.map(\.attempt) == [2], "\(jitter)")
        }
    }

    @Test func aLostLeaseKeepsItsPlaceAndItsAttempt() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(), New()]).first
        let lost = try #require(try queue.exchange("gone", most: 1).leases.first)
        // Looked at often enough, so that the silence is the worker's and not the queue's.
        for _ in 0..<5 {
            queue.nowMs += 3100
            try queue.tick()
        }
        let again = try queue.exchange("w", most: 2).leases
        #expect(again.map(\.number) == [first, first + 1])
        #expect(again[0].attempt == 1 && again[0].token > lost.token)
        let late = Ended(number: first, token: lost.token, outcome: "completed")
        #expect(try queue.exchange("gone", [late], most: 0).results == ["stale"])
        #expect(try queue.state(first).word == "running")
    }

    @Test func threeLostLeasesArePoison() throws {
        let queue = try ScriptedQueue()
        let number = try queue.enqueue([New()]).first
        for round in 1...3 {
            #expect(try queue.exchange("w\(round)", most: 1).leases.count == 1)
            for _ in 0..<5 {
                queue.nowMs += 3100
                try queue.tick()
            }
        }
        let state = try queue.state(number)
        #expect(state.word == "dead" && state.text("reason") == "poison")
        #expect(try queue.members("dead") == [number])
    }

    @Test func afterAnOutageNothingIsLostForOneMoreTerm() throws {
        for isOther in [false, true] {
            let queue = try ScriptedQueue()
            let number = try queue.enqueue([New()]).first
            let lease = try #require(try queue.exchange("w", most: 1).leases.first)
            if isOther {
                for _ in 0..<4 {
                    queue.nowMs += 3600
                    _ = try queue.enqueue([])
                }
                queue.serverID = "b"
                queue.nowMs += 1000
            } else {
                queue.nowMs += 20_000
            }
            try queue.tick()
            #expect(try queue.state(number).word == "running")
            queue.nowMs += 4000
            #expect(try queue.heartbeat("w", [lease]) == ["ok"])
            queue.nowMs += 4000
            try queue.tick()
            #expect(try queue.state(number).word == "running")
        }
    }

    @Test func aHeartbeatGivesBackWhatTheWorkerDoesNotKnowOf() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(), New()]).first
        let leases = try queue.exchange("w", most: 2).leases
        queue.nowMs += 4000
        #expect(try queue.heartbeat("w", [leases[0]]) == ["ok"])
        #expect(try queue.state(first + 1).word == "running", "its reply may be on its way")
        queue.nowMs += 2000
        #expect(try queue.heartbeat("w", [leases[0]]) == ["ok"])
        #expect(try queue.state(first + 1).word == "pending")
        #expect(try queue.exchange("v", most: 1).leases.map(\.attempt) == [1])
        #expect(try queue.faults() == [])
    }

    /// Several threads or processes under one name, each of which tells of its own.
    @Test func aHeartbeatOfSomeGivesBackNothing() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(), New()]).first
        let leases = try (0..<2).map { _ in try queue.exchange("w", most: 1).leases[0] }
        for _ in 0..<10 {
            queue.nowMs += 4000
            for lease in leases { #expect(try queue.heartbeat("w", [lease], all: false) == ["ok"]) }
            try queue.tick()
        }
        #expect(try queue.state(first).word == "running" && queue.state(first + 1).word == "running")
        #expect(try queue.faults() == [])
    }

    @Test func aTypesConcurrencyAndRateHold() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["type", "noop", "concurrency=3 rate=4/1000"])
        _ = try queue.enqueue((0..<10).map { _ in New() })
        queue.nowMs += 1000 - queue.nowMs % 1000
        let first = try queue.exchange("w", most: 10).leases
        #expect(first.count == 3)
        let ended = first.map { Ended(number: $0.number, token: $0.token, outcome: "completed") }
        #expect(try queue.exchange("w", ended, most: 10).leases.count == 1, "the fourth of this second")
        queue.nowMs += 1000
        #expect(try queue.exchange("w", most: 10).leases.count == 2)
    }

    @Test func preemptionGivesACriticalJobThePlace() throws {
        let queue = try ScriptedQueue()
        let low = try queue.enqueue([New(fields: ["priority": "low", "preemptible": "1"])]).first
        let lease = try #require(try queue.exchange("w", most: 1).leases.first)
        _ = try queue.enqueue([New(dueMs: 1000, fields: ["priority": "critical"])])
        try queue.tick()
        #expect(try queue.heartbeat("w", [lease]) == ["ok"])
        queue.nowMs += 1001
        try queue.tick()
        #expect(try queue.heartbeat("w", [lease]) == ["preempt"])
        let back = Ended(number: low, token: lease.token, outcome: "released")
        let next = try queue.exchange("w", [back], most: 1).leases
        #expect(next.map(\.number) == [low + 1])
        #expect(try queue.state(low).int("attempt") == 0)
    }
}

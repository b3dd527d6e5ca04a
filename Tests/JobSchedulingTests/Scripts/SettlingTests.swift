import TestSupport
import Testing

@testable import JobScheduling

/// What hangs on a job is settled whatever way it ends, and whatever was done to it before; under a given clock.
struct SettlingTests {
    private typealias New = ScriptedQueue.New
    private typealias Ended = ScriptedQueue.Ended

    private func digits(_ number: Int) -> String { JobID.digits(number) }

    /// Leases everything there is and completes it, a few times.
    private func work(_ queue: ScriptedQueue, _ rounds: Int = 1) throws -> [Int] {
        var numbers: [Int] = []
        for _ in 0..<rounds {
            let leases = try queue.exchange("w", most: 100).leases
            numbers += leases.map(\.number)
            try queue.complete("w", leases)
            try queue.tick()
        }
        return numbers
    }

    @Test func anEditKeepsWhatHangsOnAJob() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(), New(fields: ["after": "#1:success"])]).first
        #expect(try queue.edit(first, New(fields: ["priority": "high"])) == ["done"])
        #expect(try work(queue, 2) == [first, first + 1])
    }

    @Test func everyFollowerHasTheResult() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue((0..<900).map { _ in New(fields: ["cache": "d 60000"]) }).first
        var started: [Int] = []
        var leader: [ScriptedQueue.Lease] = []
        for _ in 0..<10 {
            let leases = try queue.exchange("w", most: 10).leases
            started += leases.map(\.number)
            leader += leases
        }
        #expect(started == [first])
        try queue.complete("w", leader)
        for _ in 0..<10 { try queue.tick() }
        #expect(try queue.members("waiting").isEmpty && queue.members("ended").count == 900)
    }

    @Test func whoStartsLaterHoldsUpNobodyOfTheSameConfig() throws {
        for place in ["delayed", "idle"] {
            let queue = try ScriptedQueue()
            let cache = ["cache": "d 60000"]
            let later = New(place: place, dueMs: queue.nowMs + 86_400_000, fields: cache)
            let first = try queue.enqueue([later, New(fields: cache)]).first
            #expect(try work(queue) == [first + 1], "\(place)")
        }
    }

    @Test func evictionTakesNoLeader() throws {
        let queue = try ScriptedQueue()
        _ = try queue.enqueue([New(fields: ["cache": "old 1"])])
        _ = try work(queue)
        _ = try queue.command(words: ["DEL", queue.base + "cache:old"])
        let leader = try queue.enqueue([New(fields: ["cache": "old 60000"])]).first
        let lease = try queue.exchange("w", most: 1).leases
        let follower = try queue.enqueue([New(fields: ["cache": "old 60000"])]).first
        for i in 0..<1001 { _ = try queue.command("ZADD", queue.base + "cached", String(queue.nowMs + i), "d\(i)") }
        _ = try queue.enqueue([New(type: "t", fields: ["cache": "new 60000"])])
        try queue.complete("v", try queue.exchange("v", most: 1, types: ["t"]).leases)
        #expect(lease.map(\.number) == [leader])
        try queue.complete("w", lease)
        #expect(try queue.state(follower).word == "completed")
    }

    @Test func aMergedJobHasNoUniqueKey() throws {
        let queue = try ScriptedQueue()
        let merge = ["conflict": "merge 0 n"]
        let first = try queue.enqueue([New(fields: merge)]).first
        let second = New(fields: merge.merging(["unique": "u"]) { $1 })
        #expect(try queue.enqueue([second]).outcomes == ["merged \(digits(first))"])
        #expect(try work(queue) == [first])
        #expect(try queue.enqueue([New(fields: ["unique": "u"])]).outcomes == ["created"])
    }

    @Test func whoIsTriedAgainHasItsUniqueKeyAgain() throws {
        let queue = try ScriptedQueue()
        let unique = New(fields: ["unique": "u", "retries": "0"])
        let first = try queue.enqueue([unique]).first
        let lease = try #require(try queue.exchange("w", most: 1).leases.first)
        _ = try queue.exchange("w", [Ended(number: first, token: lease.token, outcome: "failed")], most: 0)
        let second = try queue.enqueue([unique])
        #expect(second.outcomes == ["created"])
        #expect(try queue.change("retry", first) == ["held", digits(second.first)])
        #expect(try queue.cancel(second.first) == "cancelled")
        #expect(try queue.change("retry", first) == ["done"])
        #expect(try queue.enqueue([unique]).outcomes == ["existing \(digits(first))"])
    }

    @Test func aUniqueKeyWithATimeOfItsOwnIsKept() throws {
        let queue = try ScriptedQueue()
        let unique = New(fields: ["unique": "u", "uniqueMs": "60000"])
        let first = try queue.enqueue([unique]).first
        #expect(try work(queue) == [first])
        #expect(try queue.enqueue([unique]).outcomes == ["existing \(digits(first))"])
        #expect(try queue.change("delete", first) == ["done"])
        #expect(try queue.enqueue([unique]).outcomes == ["created"])
    }

    @Test func mergingTakesTheWholeConfigAndNoOtherType() throws {
        let large = #"{"x":"\#(String(repeating: "y", count: 600))"}"#
        for (old, new) in [("{}", large), (large, #"{"a":1}"#), (large, large + " ")] {
            let queue = try ScriptedQueue()
            let merge = ["conflict": "merge 0 n"]
            let first = try queue.enqueue([New(config: old, fields: merge)]).first
            #expect(try queue.enqueue([New(type: "t", config: "{}", fields: merge)]).outcomes == ["created"])
            #expect(try queue.enqueue([New(config: new, fields: merge)]).outcomes == ["merged \(digits(first))"])
            #expect(try queue.exchange("w", most: 1).leases.map(\.config) == [new])
        }
    }

    @Test func whoWaitsForAnAliasWaitsForTheJob() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(fields: ["unique": "u", "conflict": "merge 0 n"])]).first
        let made = try queue.enqueue([
            New(fields: ["after": "#2:success #3:success"]), New(fields: ["unique": "u"]),
            New(fields: ["conflict": "merge 0 n"]),
        ])
        #expect(made.outcomes == ["created", "existing \(digits(first))", "merged \(digits(first))"])
        #expect(try queue.fields(made.first)["after"] == "\(digits(first)):success \(digits(first)):success")
        #expect(try work(queue, 2) == [first, made.first])
    }

    @Test func aBatchAddsUpWhateverIsTriedAgain() throws {
        let queue = try ScriptedQueue()
        let callback = try queue.enqueue([New(place: "waiting", dueMs: 0, fields: ["awaits": "b"])]).first
        try queue.batch("open", "b", total: 2, callback: digits(callback))
        let first = try queue.enqueue([New(fields: ["retries": "0"]), New()], batch: ("b", 0)).first
        try queue.batch("release", "b")
        let leases = try queue.exchange("w", most: 2).leases
        let failed = Ended(number: first, token: leases[0].token, outcome: "failed")
        _ = try queue.exchange("w", [failed], most: 0)
        #expect(try queue.change("retry", first) == ["done"])
        try queue.complete("w", [leases[1]])
        let again = try queue.exchange("w", most: 5).leases
        #expect(again.map(\.number) == [first], "the callback waits for the last one")
        try queue.complete("w", again)
        #expect(try work(queue) == [callback])
        #expect(try queue.change("run", first) == ["done"])
        #expect(try work(queue, 3) == [first], "the callback comes once")
        let counts = try ["completed", "failed", "open"].map {
            try queue.command("HGET", queue.base + "batch:b", $0).text
        }
        #expect(counts == ["2", "0", "0"])
    }

    @Test func theOneBehindHasItsTurnWhenTheNextIsCancelled() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue((0..<3).map { _ in New(fields: ["conflict": "queue 0 n"]) }).first
        let lease = try queue.exchange("w", most: 5).leases
        try queue.complete("w", lease)
        #expect(try queue.members("ready:noop") == [first + 1])
        #expect(try queue.cancel(first + 1) == "cancelled")
        #expect(try work(queue) == [first + 2])
    }

    @Test func runsOfAScheduleThatIsDeletedGoOn() throws {
        let queue = try ScriptedQueue()
        let own = ["schedule": "@every 1s", "overlap": "queue"]
        let schedule = try queue.enqueue([New(place: "schedules", dueMs: queue.nowMs, fields: own)]).first
        let runs = try (0..<3).compactMap {
            try queue.fire(schedule, slotMs: queue.nowMs + $0 * 1000, nextMs: queue.nowMs + ($0 + 1) * 1000)
        }
        #expect(try queue.change("delete", schedule) == ["done"])
        #expect(try work(queue, 4) == runs)
        #expect(try queue.laws() == [])
    }

    @Test func whoWaitsForOthersStillHasItsTime() throws {
        let queue = try ScriptedQueue()
        let after = ["after": "#1:success"]
        let dueMs = queue.nowMs + 60_000
        let first = try queue.enqueue([
            New(), New(place: "delayed", dueMs: dueMs, fields: after), New(place: "idle", fields: after),
            New(place: "schedules", dueMs: dueMs, fields: after.merging(["schedule": "@yearly"]) { $1 }),
        ]).first
        #expect(try work(queue, 3) == [first])
        #expect(try queue.members("delayed") == [first + 1] && queue.members("idle") == [first + 2])
        #expect(try queue.members("schedules") == [first + 3])
        queue.nowMs = dueMs
        #expect(try work(queue) == [first + 1])
    }

    @Test func aTimeThatIsOverPutsNobodyFirst() throws {
        let queue = try ScriptedQueue()
        let low = New(place: "delayed", dueMs: queue.nowMs - 86_400_000, fields: ["priority": "low"])
        let first = try queue.enqueue([low, New(dueMs: 1000, fields: ["priority": "critical"])]).first
        #expect(try work(queue) == [first + 1, first])
    }

    @Test func aScheduleThatWasCancelledGoesOnWithItsNextSlot() throws {
        let queue = try ScriptedQueue()
        let schedule = try queue.enqueue([
            New(place: "schedules", dueMs: queue.nowMs + 1000, fields: ["schedule": "@every 1s"])
        ]).first
        #expect(try queue.cancel(schedule) == "cancelled")
        #expect(try queue.change("run", schedule) == ["slot"])
        #expect(try queue.change("run", schedule, slotMs: queue.nowMs + 5000) == ["done"])
        #expect(try queue.state(schedule).word == "scheduled" && queue.members("schedules") == [schedule])
    }

    @Test func aJobThatRunsAgainIsCountedOn() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([New(fields: ["retries": "0"])]).first
        for outcome in ["failed", "completed", "completed"] {
            let lease = try #require(try queue.exchange("w", most: 1).leases.first)
            _ = try queue.exchange("w", [Ended(number: first, token: lease.token, outcome: outcome)], most: 0)
            if try queue.members("ended").isEmpty { #expect(try queue.change("retry", first) == ["done"]) }
            if outcome == "completed" { #expect(try queue.change("run", first) == ["done"]) }
        }
        let id = JobID(queue: .standard, number: first)
        let job = JobRecord(id: id, dueMs: nil, fields: try queue.fields(first))
        #expect([job.runCount, job.successCount, job.failureCount] == [3, 2, 1])
    }

    @Test func jobsCannotBeEditedIntoACircle() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue([
            New(), New(fields: ["after": "#1:success"]), New(fields: ["after": "#2:success"]),
        ]).first
        let circle = New(fields: ["after": "\(digits(first + 2)):success"])
        #expect(try queue.edit(first, circle) == ["cycle", digits(first + 2)])
        let other = New(fields: ["after": "\(digits(first)):completion"])
        #expect(try queue.edit(first + 2, other) == ["done"])
        #expect(try work(queue, 3).sorted() == [first, first + 1, first + 2])
    }
}

import TestSupport
import Testing

@testable import JobScheduling

/// Workers that die, jobs that are too much for a pool, and who is to blame; under a given clock.
struct LossTests {
    private typealias New = ScriptedQueue.New
    private typealias Ended = ScriptedQueue.Ended

    /// Time passes in which others are heard of.
    private func pass(_ queue: ScriptedQueue, _ ms: Int) throws {
        for _ in 0..<(ms / 2000) {
            queue.nowMs += 2000
            try queue.tick()
        }
    }

    @Test func aDeathBesideATimeoutIsNoFailure() throws {
        let queue = try ScriptedQueue()
        let number = try queue.enqueue([New(fields: ["timeout": "2000", "retries": "0"])]).first
        #expect(try queue.exchange("gone", most: 1).leases.count == 1)
        try pass(queue, 16_000)
        let state = try queue.state(number)
        #expect(state.word == "pending" && state.int("lost") == 1)
        #expect(try queue.exchange("w", most: 1).leases.map(\.attempt) == [1])
    }

    @Test func aWorkerThatLivesAndDoesNotEndARunIsOverruled() throws {
        for retries in [false, true] {
            let queue = try ScriptedQueue()
            var fields = ["timeout": "2000"]
            if retries { fields["retryTimeouts"] = "1" }
            let number = try queue.enqueue([New(fields: fields)]).first
            let leases = try queue.exchange("w", most: 1).leases
            queue.nowMs += 2900
            #expect(try queue.heartbeat("w", leases) == ["ok"])
            queue.nowMs += 2000
            #expect(try queue.heartbeat("w", leases) == ["stale"])
            #expect(try queue.state(number).word == (retries ? "retrying" : "timeout"))
            let late = Ended(number: number, token: leases[0].token, outcome: "completed", text: "1")
            #expect(
                try queue.exchange("w", [late], most: 0).results == ["stale"], "its result is not taken, so it is told")
            #expect(try queue.laws() == [])
        }
    }

    @Test func onlyThePillDies() throws {
        let queue = try ScriptedQueue()
        let first = try queue.enqueue((0..<20).map { _ in New() }).first
        let pill = first + 7
        var process = 0
        for _ in 0..<200 where try !queue.members("ready:noop").isEmpty {
            var leases: [ScriptedQueue.Lease] = []
            for loop in 0..<2 { leases += try queue.exchange("p\(process).\(loop)", most: 10).leases }
            if leases.contains(where: { $0.number == pill }) {
                process += 1
                try pass(queue, 18_000)
            } else {
                for loop in 0..<2 { try queue.complete("p\(process).\(loop)", leases) }
            }
        }
        #expect(try queue.members("dead") == [pill])
        #expect(try queue.members("ended").count == 19)
        #expect(try queue.laws() == [])
    }

    @Test func lossesThatLieFarApartAreNoPoison() throws {
        let queue = try ScriptedQueue()
        let number = try queue.enqueue([New()]).first
        for round in 1...4 {
            #expect(try queue.exchange("w\(round)", most: 1).leases.map(\.number) == [number])
            try pass(queue, 18_000)
            queue.nowMs += 3_700_000
            try queue.tick()
        }
        #expect(try queue.state(number).word == "pending")
    }

    @Test func whoIsToRunApartIsAloneAndComesToItsTurn() throws {
        let queue = try ScriptedQueue()
        let lost = try queue.enqueue([New()]).first
        for round in 1...2 {
            #expect(try queue.exchange("gone\(round)", most: 1).leases.map(\.number) == [lost])
            try pass(queue, 18_000)
        }
        // A worker that always has something takes nothing else for the sake of one that has waited.
        let others = try queue.enqueue((0..<20).map { _ in New(type: "t") }).first
        var held = try queue.exchange("w", most: 1, types: ["t"]).leases
        #expect(held.map(\.number) == [others])
        try pass(queue, 4000)
        #expect(try queue.heartbeat("w", held) == ["ok"])
        #expect(try queue.exchange("w", most: 5, types: ["noop", "t"]).leases.isEmpty)
        try queue.complete("w", held)
        held = try queue.exchange("w", most: 5, types: ["noop", "t"]).leases
        #expect(held.map(\.number) == [lost])
        #expect(try queue.exchange("w", most: 5, types: ["noop", "t"]).leases.isEmpty, "nothing beside it")
        try queue.complete("w", held)
        #expect(try queue.exchange("w", most: 5, types: ["noop", "t"]).leases.count == 5)
        #expect(try queue.laws() == [])
    }

    // MARK: Pools

    @Test func whoHasNoRoomHoldsUpNoOther() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["pools", "gpu", "8"])
        let blocker = try queue.enqueue([New(fields: ["needs": "gpu=8"])]).first
        let lease = try queue.exchange("w", most: 1).leases
        #expect(lease.map(\.number) == [blocker])
        let first = try queue.enqueue((0..<600).map { _ in New(fields: ["needs": "gpu=8"]) }).first
        let others = try queue.enqueue([New(type: "t"), New()]).first
        var started: [Int] = []
        for _ in 0..<4 { started += try queue.exchange("v", most: 10, types: ["noop", "t"]).leases.map(\.number) }
        #expect(started == [others, others + 1])
        try queue.complete("w", lease)
        #expect(try queue.exchange("w", most: 10).leases.map(\.number) == [first])
        #expect(try queue.laws() == [])
    }

    @Test func aPoolThatGrowsIsForAllWhoWait() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["pools", "gpu", "1"])
        _ = try queue.enqueue((0..<200).map { _ in New(fields: ["needs": "gpu=1"]) })
        var running = try queue.exchange("w", most: 300).leases.count
        #expect(try running == 1 && queue.members("waiting").count == 199)
        try queue.run(JobScripts.settings, ["pools", "gpu", "1000"])
        for _ in 0..<20 {
            try queue.tick()
            running += try queue.exchange("w", most: 300).leases.count
        }
        #expect(running == 200)
    }

    @Test func whoAsksForMoreThanThereIsIsTold() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["pools", "gpu", "8"])
        try queue.run(JobScripts.settings, ["alert", "noop", "http://ops/"])
        let first = try queue.enqueue([New(fields: ["needs": "gpu=8"]), New(fields: ["needs": "gpu=3"])]).first
        try queue.run(JobScripts.settings, ["pools", "gpu", "4"])
        #expect(try queue.exchange("w", most: 5).leases.map(\.number) == [first + 1])
        #expect(try queue.state(first).text("reason") == "it asks for 8 of gpu, which has 4")
        #expect(try queue.members("ready:http").count == 1)
        try queue.run(JobScripts.settings, ["pools", "gpu", "11"])
        #expect(try queue.exchange("w", most: 5).leases.map(\.number) == [first])
        #expect(try queue.laws() == [])
    }

    // MARK: Limits and promises

    @Test func alertsAreWithinTheLimit() throws {
        let queue = try ScriptedQueue()
        queue.limit = 3
        try queue.run(JobScripts.settings, ["alert", "noop", "http://ops/"])
        _ = try queue.enqueue((0..<3).map { _ in New(fields: ["retries": "0"]) })
        for lease in try queue.exchange("w", most: 3).leases {
            let end = Ended(number: lease.number, token: lease.token, outcome: "failed", text: "no")
            _ = try queue.exchange("w", [end], most: 0)
            let more = 3 - (try queue.members("ready:http").count + queue.members("leases:noop").count)
            if more > 0 { _ = try queue.enqueue((0..<more).map { _ in New(place: "idle") }) }
        }
        #expect(try queue.members("ready:http").count + queue.members("idle").count <= 3)
    }

    @Test func aTypesPromiseLeavesPrioritiesAsTheyAre() throws {
        for ms in [500, 10_000, 100_000_000] {
            let queue = try ScriptedQueue()
            try queue.run(JobScripts.settings, ["type", "noop", "queueMs=\(ms)"])
            let jobs = ["low", "normal", "high", "critical"].map { word in
                New(dueMs: Priority(rawValue: word)!.targetMs, fields: ["priority": word])
            }
            let first = try queue.enqueue(jobs).first
            #expect(try queue.exchange("w", most: 4).leases.map(\.number) == [3, 2, 1, 0].map { first + $0 }, "\(ms)")
        }
    }
}

import TestSupport
import Testing

@testable import JobScheduling

/// All features at once: random jobs that are unique, in conflict, in batches, cached, scheduled, and need each other or room
/// in pools; at random they are edited, cancelled, deleted, tried again and run by hand, while workers die and replies are
/// lost. After every step the laws of a queue hold (`QueueLaws`), and in the end everything ends.
///
/// Each seed is a queue of its own. `QM_JOB_SEEDS=20000` tries so many, `QM_SEED=17` only this one and prints what was done.
struct JobModelTests {
    private static let shares = 4
    private static let only = Environment["QM_SEED"].flatMap { UInt64($0) }
    private static let seeds = Environment["QM_JOB_SEEDS"].flatMap { Int($0) } ?? 2000
    private static let steps = 40

    @Test(arguments: 0..<shares) func everyFeatureHoldsBesideTheOthers(_ share: Int) throws {
        let redis = try RedisServer()
        let queue = ScriptedQueue(try redis.connect(), base: "m:jobs:{m}:")
        var bad = 0
        if let seed = JobModelTests.only {
            if share == 0 { _ = try JobModelTests.run(seed, queue, isTold: true) }
            return
        }
        for i in 0..<JobModelTests.seeds / JobModelTests.shares where bad < 3 {
            let seed = UInt64(share * 1_000_000 + i)
            if try !JobModelTests.run(seed, queue, isTold: false) { bad += 1 }
        }
    }

    /// - Returns: whether all was well.
    private static func run(_ seed: UInt64, _ queue: ScriptedQueue, isTold: Bool) throws -> Bool {
        _ = try queue.command("FLUSHALL")
        queue.nowMs = 1_700_000_000_000
        var step = "at first"
        var isGood = true
        var told: [String] = []
        let model = try JobModel(queue, SeededRandom(seed: seed)) { faults in
            if isGood { told = ["QM_SEED=\(seed), \(step): \(faults.prefix(4))"] }
            isGood = false
        }
        for i in 0..<steps where isGood {
            step = "step \(i)"
            try model.step()
            let faults = try queue.laws()
            if !faults.isEmpty { model.laws(faults) }
        }
        if isGood {
            step = "at the end"
            try model.comeToAnEnd()
        }
        if !isGood {
            if isTold { told += model.log }
            Issue.record("\(told.joined(separator: "\n"))")
        }
        return isGood
    }
}

extension JobModel {
    /// Nothing new comes, workers work, and so everything ends.
    func comeToAnEnd() throws {
        try queue.run(JobScripts.settings, ["resume"])
        try queue.run(JobScripts.settings, ["pools", "cpu", "8", "gpu", "2"])
        try queue.run(JobScripts.settings, ["type", "noop", ""])
        note("the end begins")
        let open =
            JobModel.types.flatMap { ["ready:" + $0, "leases:" + $0] } + ["delayed", "waiting", "schedules", "idle"]
        for _ in 0..<300 {
            queue.nowMs += 2500
            try tick()
            try goOnWithBatches()
            for schedule in try queue.members("schedules") { note("end", schedule, try queue.cancel(schedule)) }
            for idle in try queue.members("idle") {
                jobs[idle]?.isAskedFor = true
                try queue.change("run", idle)
            }
            for w in workers.indices {
                try beat(w)
                try lease(w, most: 10)
                let leases = workers[w].leases
                workers[w].leases = []
                try queue.complete(workers[w].name, leases)
            }
            let faults = try queue.laws()
            if !faults.isEmpty { return laws(faults) }
            if try open.allSatisfy({ try queue.members($0).isEmpty }) { return }
        }
        var rest: [String] = []
        for set in open {
            for number in try queue.members(set) { rest.append("\(set) \(number) \(try queue.fields(number))") }
        }
        laws(["they do not end:"] + rest)
    }
}

extension ScriptedQueue {
    /// What is wrong with the queue: nothing, in a good one.
    func laws() throws -> [String] {
        let words = try run(QueueLaws.script, [])
        return words == [""] ? [] : words
    }
}

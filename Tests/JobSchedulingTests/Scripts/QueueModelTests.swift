import TestSupport
import Testing

@testable import JobScheduling

/// Thousands of random steps by several workers, some of which fall silent; after each batch of steps the laws of the queue
/// are checked against what a plain model expects. The seed is in every message.
struct QueueModelTests {
    /// What the model knows of a job.
    private struct Job {
        var needs = 0
        var retries = 3
        var starts = 0
        var failures = 0
        var accepted = 0
        var cancelAsked = false
    }

    private struct Worker {
        let name: String
        var leases: [ScriptedQueue.Lease] = []
        var isSilent = false
    }

    private static let capacity = 10

    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func lawsHold(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["pools", "cpu", String(QueueModelTests.capacity)])
        var jobs: [Int: Job] = [:]
        var workers = (0..<3).map { Worker(name: "w\($0)") }
        var lastToken = 0
        for step in 0..<1500 {
            queue.nowMs += Int.random(in: 0...400, using: &random)
            let w = Int.random(in: 0..<workers.count, using: &random)
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<6: try enqueue(queue, &jobs, &random)
            case 6..<10:
                guard !workers[w].isSilent else { continue }
                let leases = try queue.exchange(workers[w].name, most: Int.random(in: 1...4, using: &random)).leases
                for lease in leases {
                    #expect(lease.token > lastToken, "seed \(seed), step \(step): tokens grow")
                    lastToken = max(lastToken, lease.token)
                    jobs[lease.number]?.starts += 1
                    #expect(
                        !workers.contains { !$0.isSilent && $0.leases.contains { $0.number == lease.number } },
                        "seed \(seed), step \(step): job \(lease.number) has two valid leases")
                }
                workers[w].leases += leases
            case 10..<15: try finish(queue, &jobs, &workers[w], &random, "seed \(seed), step \(step)")
            case 15:
                if let number = jobs.keys.sorted().randomElement(using: &random) {
                    let word = try queue.cancel(number)
                    if word != "ended" { jobs[number]?.cancelAsked = true }
                }
            case 16:
                // It forgets everything, as after kill -9, and another one comes in its place.
                if Int.random(in: 0..<6, using: &random) == 0 {
                    workers[w].isSilent = true
                    workers.append(Worker(name: "w\(workers.count)"))
                }
            default: try queue.tick()
            }
            for i in workers.indices where !workers[i].isSilent && !workers[i].leases.isEmpty && step % 4 == 0 {
                let words = try queue.heartbeat(workers[i].name, workers[i].leases)
                let held = zip(workers[i].leases, words).filter { $0.1 == "ok" || $0.1 == "cancel" }.map(\.0)
                workers[i].leases = held
            }
            if step % 50 == 49 { try check(queue, jobs, "seed \(seed), step \(step)") }
        }
        // Everything comes to an end when somebody works.
        for round in 0..<400 {
            queue.nowMs += 2500
            try queue.tick()
            let leases = try queue.exchange("last", most: 50).leases
            let ended = leases.map { ScriptedQueue.Ended(number: $0.number, token: $0.token, outcome: "completed") }
            _ = try queue.exchange("last", ended, most: 0)
            for i in workers.indices where !workers[i].isSilent {
                let rest = workers[i].leases.map {
                    ScriptedQueue.Ended(number: $0.number, token: $0.token, outcome: "completed")
                }
                _ = try queue.exchange(workers[i].name, rest, most: 0)
                workers[i].leases = []
            }
            let open = try ["ready:noop", "leases:noop", "delayed", "waiting"].reduce(0) {
                try $0 + queue.members($1).count
            }
            if open == 0 { break }
            #expect(round < 399, "seed \(seed): \(open) jobs never end")
        }
        try check(queue, jobs, "seed \(seed), at the end")
        #expect(
            try queue.command("HGET", queue.base + "used", "cpu") == .null)
    }

    private func enqueue(
        _ queue: ScriptedQueue, _ jobs: inout [Int: Job], _ random: inout SeededRandom
    ) throws {
        var new = ScriptedQueue.New()
        var job = Job()
        switch Int.random(in: 0..<6, using: &random) {
        case 0:
            job.needs = Int.random(in: 1...6, using: &random)
            new.fields["needs"] = "cpu=\(job.needs)"
        case 1:
            job.retries = 0
            new.fields["retries"] = "0"
        case 2:
            new.place = "delayed"
            new.dueMs = queue.nowMs + Int.random(in: 0...5000, using: &random)
        case 3:
            if let other = jobs.keys.sorted().suffix(10).randomElement(using: &random) {
                let on = ["success", "failure", "completion"].randomElement(using: &random)!
                new.fields["after"] = "\(JobID.digits(other)):\(on)"
            }
        case 4: new.fields["conflict"] = "queue 0 name\(Int.random(in: 0...2, using: &random))"
        default: break
        }
        let created = try queue.enqueue([new])
        #expect(created.outcomes == ["created"])
        jobs[created.first] = job
    }

    private func finish(
        _ queue: ScriptedQueue, _ jobs: inout [Int: Job], _ worker: inout Worker, _ random: inout SeededRandom,
        _ place: String
    ) throws {
        guard !worker.isSilent, !worker.leases.isEmpty else { return }
        let lease = worker.leases.remove(at: Int.random(in: 0..<worker.leases.count, using: &random))
        let outcome = ["completed", "completed", "failed", "permanent", "released", "timeout"].randomElement(
            using: &random)!
        let ended = ScriptedQueue.Ended(number: lease.number, token: lease.token, outcome: outcome, text: "text")
        let before = try queue.state(lease.number)
        let word = try queue.exchange(worker.name, [ended], most: 0).results[0]
        let isHolder = before.word == "running" && before.int("token") == lease.token
        #expect(word == (isHolder ? "ok" : word), "\(place): \(before) said \(word)")
        guard isHolder, word == "ok" else { return }
        let isCancelled = before.int("cancelled") != nil
        let attempt = before.int("attempt") ?? 0
        let event: JobStatus.Event
        switch outcome {
        case "completed": event = .complete
        case "released": event = .release
        case "timeout": event = .timeOut
        case "failed" where attempt <= (jobs[lease.number]?.retries ?? 3): event = .failWithRetriesLeft
        default: event = .failForGood
        }
        let after = try queue.state(lease.number).status
        #expect(after == JobStatus.running.after(event, isCancelled: isCancelled), "\(place): \(outcome)")
        if after.hasEnded { jobs[lease.number]?.accepted += 1 }
        #expect(jobs[lease.number]?.accepted ?? 0 <= 1, "\(place): an end is accepted once")
        // Said again, as after a lost reply, it changes nothing.
        if outcome != "released" {
            #expect(try queue.exchange(worker.name, [ended], most: 0).results == ["ok"], "\(place): \(outcome) again")
            #expect(try queue.state(lease.number).status == after, "\(place)")
        }
    }

    private func check(_ queue: ScriptedQueue, _ jobs: [Int: Job], _ place: String) throws {
        let faults = try queue.faults()
        #expect(faults.isEmpty, "\(place): \(faults)")
        let running = try queue.members("leases:noop")
        let used = Int(try queue.command("HGET", queue.base + "used", "cpu").text) ?? 0
        #expect(used == running.reduce(0) { $0 + (jobs[$1]?.needs ?? 0) }, "\(place): what is used is what runs")
        #expect(used <= QueueModelTests.capacity, "\(place)")
        var total = 0
        for set in ["ready:noop", "leases:noop", "delayed", "waiting", "ended", "dead"] {
            total += try queue.members(set).count
        }
        #expect(total == jobs.count, "\(place): no job is lost")
    }
}

import TestSupport

@testable import JobScheduling

extension JobModel {
    /// Something happens.
    func step() throws {
        queue.nowMs += random.int(0...400)
        if random.oneIn(30) { queue.nowMs += random.int(1000...16_000) }
        switch random.int(0...30) {
        case 0...5: try create()
        case 6: try openBatch()
        case 7...12: try lease(random.int(0...workers.count - 1))
        case 13...18: try finish(random.int(0...workers.count - 1))
        case 19: try change("cancel")
        case 20: try change(random.oneIn(2) ? "delete" : "cancel")
        case 21: try change("retry")
        case 22: try change("run")
        case 23, 24: try edit()
        case 25: die(random.int(0...workers.count - 1))
        case 26: try settings()
        case 27: try goOnWithBatches()
        default: try tick()
        }
        for i in workers.indices where queue.nowMs - workers[i].lastBeatMs > 4000 { try beat(i) }
    }

    // MARK: Workers

    func lease(_ w: Int, most: Int? = nil) throws {
        calls += 1
        let types = random.oneIn(3) ? [random.pick(JobModel.types)] : JobModel.types
        let leases = try queue.exchange(
            workers[w].name, most: most ?? random.int(1...4), types: types, call: calls
        ).leases
        note("lease", workers[w].name, leases.map { "\($0.number)" }, "at", queue.nowMs)
        for lease in leases { try check(lease) }
        // The reply of some never comes.
        if most == nil, random.oneIn(12) { return note("lost reply") }
        workers[w].leases += leases
    }

    private func check(_ lease: Lease) throws {
        if lease.token <= lastToken { fault("token \(lease.token) of \(lease.number) comes after \(lastToken)") }
        lastToken = max(lastToken, lease.token)
        if workers.contains(where: { $0.leases.contains { $0.number == lease.number && $0.token == lease.token } }) {
            fault("\(lease.number) has two valid leases")
        }
        // Nobody made it but a schedule, or an alert.
        guard let job = jobs[lease.number] else { return }
        if lease.config != job.config {
            fault("\(lease.number) runs with \(lease.config.prefix(20)), not \(job.config.prefix(20))")
        }
        if lease.type != job.new.type { fault("\(lease.number) runs as \(lease.type)") }
        if job.new.place == "schedules" { fault("\(lease.number) is a schedule and runs") }
        if !job.isAskedFor {
            guard let notBeforeMs = job.notBeforeMs else { return fault("\(lease.number) runs without being asked to") }
            if notBeforeMs > queue.nowMs { fault("\(lease.number) runs \(notBeforeMs - queue.nowMs) ms early") }
        }
        if job.awaits != nil, job.starts > 0, lease.attempt == 1, !job.isAskedFor {
            // It was given back, or else it came for a second end of its batch.
            let history = queue.base + "history:" + JobID.digits(lease.number)
            if try queue.command("LLEN", history) == .integer(0) { fault("callback \(lease.number) comes twice") }
        }
        jobs[lease.number]?.starts += 1
    }

    func finish(_ w: Int) throws {
        guard !workers[w].leases.isEmpty else { return }
        let lease = workers[w].leases.remove(at: random.int(0...workers[w].leases.count - 1))
        let outcome = random.pick([
            "completed", "completed", "completed", "failed", "failed", "permanent", "released", "timeout", "cancelled",
        ])
        let ended = ScriptedQueue.Ended(number: lease.number, token: lease.token, outcome: outcome, text: "1")
        let before = try queue.state(lease.number)
        let result = try queue.exchange(workers[w].name, [ended], most: 0).results[0]
        note("finish", lease.number, outcome, result)
        let isHolder = before.word == "running" && before.int("token") == lease.token
        // What was handed back may be said to be so again.
        let mayRepeat = outcome == "released" || outcome == "cancelled"
        if isHolder != (result == "ok"), isHolder || !mayRepeat {
            fault("\(lease.number), \(before.word), is ended as \(outcome): \(result)")
        }
    }

    func beat(_ w: Int) throws {
        workers[w].lastBeatMs = queue.nowMs
        let leases = workers[w].leases
        let words = try queue.heartbeat(workers[w].name, leases)
        workers[w].leases = zip(leases, words).filter { ["ok", "cancel", "preempt"].contains($0.1) }.map(\.0)
        if !leases.isEmpty { note("beat", workers[w].name, leases.map(\.number), words) }
    }

    /// A worker dies with all that it has; another one comes in its place.
    private func die(_ w: Int) {
        note("die", workers[w].name, workers[w].leases.map(\.number))
        workers[w] = Worker(name: "w\(calls).\(random.int(0...1))", lastBeatMs: queue.nowMs)
    }

    // MARK: Users

    private func someJob() -> Int? {
        let numbers = jobs.keys.sorted()
        return numbers.isEmpty ? nil : random.pick(Array(numbers.suffix(20)))
    }

    private func change(_ op: String) throws {
        guard let number = someJob() else { return }
        let words =
            op == "cancel"
            ? [try queue.cancel(number)]
            : try queue.change(op, number, slotMs: queue.nowMs + 2000)
        note(op, number, words)
        guard words[0] == "done", op != "delete" else { return }
        if jobs[number]?.new.place != "schedules" { jobs[number]?.isAskedFor = true }
    }

    private func edit() throws {
        guard let number = someJob(), var job = jobs[number] else { return }
        let state = try queue.state(number).word
        guard ["pending", "waiting", "retrying", "idle", "scheduled"].contains(state) else { return }
        let other = self.job()
        var due: Int?
        for _ in 0..<random.int(1...2) {
            switch random.int(0...8) {
            case 0: job.new.fields["priority"] = other.fields["priority"]
            case 1: job.new.config = other.config
            case 2: job.new.fields["needs"] = other.fields["needs"]
            case 3: job.new.fields["conflict"] = other.fields["conflict"] ?? job.new.fields["conflict"]
            case 4: job.new.fields["after"] = other.fields["after"] ?? job.new.fields["after"]
            case 5 where job.new.place != "schedules": due = queue.nowMs + random.int(-2000...10_000)
            case 6: job.new.fields["timeout"] = other.fields["timeout"]
            case 7: job.new.fields["unique"] = other.fields["unique"] ?? job.new.fields["unique"]
            default: job.new.fields["cache"] = other.fields["cache"] == nil ? nil : cache(job.new)
            }
        }
        if job.new.fields["cache"] != nil { job.new.fields["cache"] = cache(job.new) }
        // Of the places of one call only the scripts know what became of them.
        if job.new.fields["after"]?.hasPrefix("#") == true {
            job.new.fields["after"] = try queue.fields(number)["after"]
        }
        if job.awaits != nil { job.new.fields["after"] = nil }
        let words = try queue.edit(number, job.new, dueMs: due)
        note("edit", number, state, "due", due as Any, job.new.fields, words)
        guard words == ["done"] else { return }
        job.config = job.new.config
        if let due, !job.isAskedFor { job.notBeforeMs = due }
        jobs[number] = job
    }

    private func settings() throws {
        switch random.int(0...5) {
        case 0: try queue.run(JobScripts.settings, ["pause"])
        case 1, 2: try queue.run(JobScripts.settings, ["resume"])
        case 3: try queue.run(JobScripts.settings, ["pools", "cpu", String(random.int(1...8)), "gpu", "2"])
        case 4: try queue.run(JobScripts.settings, ["pools", "cpu", "8", "gpu", String(random.int(0...2))])
        default:
            try queue.run(
                JobScripts.settings,
                ["type", "noop", random.pick(["", "concurrency=2", "queueMs=4000", "rate=3/1000"])])
        }
    }
}

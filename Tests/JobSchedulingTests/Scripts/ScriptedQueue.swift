import Redis
import TestSupport

@testable import JobScheduling

/// A queue whose scripts are called one by one, under a given clock.
final class ScriptedQueue {
    /// Milliseconds since the epoch.
    var nowMs = 1_700_000_000_000
    var serverID = "a"
    /// How many jobs that have not ended there may be.
    var limit = 1_000_000
    let base: String
    private let redis: RESPConnection
    private var hashes: [String: String] = [:]
    private var calls = 0

    init() throws {
        let server = try RedisServer.shared
        base = server.prefix() + "jobs:{default}:"
        redis = try server.connect()
    }

    /// A queue of its own name at some other Redis.
    init(_ redis: RESPConnection, base: String) {
        self.base = base
        self.redis = redis
    }

    // MARK: Scripts

    @discardableResult
    func run(_ script: Script, _ arguments: [String], record: String? = nil) throws -> [String] {
        let reply = try call(script, QueueKeys.ofScript(base, record: record), [String(nowMs), serverID] + arguments)
        return reply.elements.isEmpty ? [reply.text] : reply.elements.map(\.text)
    }

    private func call(_ script: Script, _ keys: [String], _ arguments: [String]) throws -> RESPConnection.Reply {
        if hashes[script.name] == nil {
            hashes[script.name] = try redis("SCRIPT", "LOAD", String(decoding: script.source, as: UTF8.self)).text
        }
        return try redis.command(["EVALSHA", hashes[script.name]!, String(keys.count)] + keys + arguments)
    }

    struct New {
        var type = "noop"
        var place = "ready"
        var dueMs = 300_000
        var config = "{}"
        var fields: [String: String] = [:]

        /// As `JobDraft` has it.
        var isSpecial: Bool {
            let special: Set = [
                "after", "unique", "needs", "conflict", "cache", "timeout", "preemptible", "trace", "awaits",
            ]
            return fields.keys.contains { special.contains($0) } || config.utf8.count > JobDraft.largestInlineConfig
        }

        /// The fields of the job's hash.
        var words: [String] {
            let name = config.utf8.count > JobDraft.largestInlineConfig ? "largeConfig" : "config"
            return ["name", "j", "type", type, name, config] + fields.flatMap { [$0.key, $0.value] }
        }
    }

    /// Creates jobs; what became of each, and the first number.
    /// - Parameter batch: the batch they belong to, and how many jobs it was given before them.
    func enqueue(_ jobs: [New], batch: (name: String, enqueued: Int)? = nil) throws -> (
        first: Int, outcomes: [String]
    ) {
        var arguments = ["", batch.map { "\($0.name) \($0.enqueued)" } ?? "", String(limit), String(jobs.count)]
        for job in jobs {
            let isSpecial = job.isSpecial
            var fields = job.words
            if isSpecial || batch != nil { fields += ["special", "1"] }
            if let batch { fields += ["batch", batch.name] }
            let place = batch == nil ? [job.place, String(job.dueMs)] : ["held", "0"]
            arguments += [job.type] + place + [isSpecial || batch != nil ? "1" : "", String(fields.count)] + fields
        }
        let words = try run(JobScripts.enqueue, arguments)
        guard words.first == "created" else { return (0, words) }
        return (Int(words[2]) ?? 0, Array(words.dropFirst(3)))
    }

    struct Lease: Equatable {
        var number: Int
        var token: Int
        var attempt: Int
        var type = "noop"
        var config = "{}"
    }

    struct Ended {
        var number: Int
        var token: Int
        var outcome: String
        var text = ""
        var retryAfterMs = ""
        var jitter = 500
    }

    /// One call of a worker: what became of what it has ended, and what it is given.
    func exchange(
        _ worker: String, _ ended: [Ended] = [], most: Int, types: [String] = ["noop"], call: Int? = nil
    ) throws -> (results: [String], leases: [Lease]) {
        calls += 1
        var arguments = [worker, String(call ?? calls), String(most), String(types.count)] + types
        for item in ended {
            arguments += [
                JobID.digits(item.number), String(item.token), "", item.outcome, item.text, item.retryAfterMs,
                String(item.jitter),
            ]
        }
        let words = try run(JobScripts.finishAndLease, arguments)
        let results = Int(words[2]) ?? 0
        let leases = stride(from: 3 + results, to: words.count - 6, by: 7).map {
            Lease(
                number: Int(words[$0]) ?? 0, token: Int(words[$0 + 1]) ?? 0, attempt: Int(words[$0 + 2]) ?? 0,
                type: words[$0 + 3], config: words[$0 + 4])
        }
        return (Array(words[3..<(3 + results)]), leases)
    }

    /// - Parameter all: whether the worker has no others.
    func heartbeat(_ worker: String, _ leases: [Lease], all: Bool = true) throws -> [String] {
        let words = try run(
            JobScripts.heartbeat,
            [worker, all ? "all" : "some", "0"] + leases.flatMap { [JobID.digits($0.number), String($0.token), ""] })
        return leases.isEmpty ? [] : words
    }

    func tick() throws { try run(JobScripts.tick, []) }

    /// `open`, `release` or `drop`, again and again until the batch is through.
    @discardableResult
    func batch(_ op: String, _ name: String, total: Int = 0, callback: String = "") throws -> String {
        var answer = "more"
        while answer == "more" {
            answer =
                op == "open"
                ? try run(JobScripts.batchOpen, [name, "a batch", String(total), callback])[0]
                : try run(JobScripts.batch, [op, name])[0]
        }
        return answer
    }

    /// Makes the run of a schedule's slot; its number, none when the slot was left out.
    func fire(_ schedule: Int, slotMs: Int, nextMs: Int) throws -> Int? {
        let words = try run(
            JobScripts.fire,
            [JobID.digits(schedule), String(slotMs), String(nextMs), "0", String(limit), String(slotMs)])
        return words.count > 1 ? Int(words[1]) : nil
    }

    /// Ends executions as completed; what became of each.
    @discardableResult
    func complete(_ worker: String, _ leases: [Lease]) throws -> [String] {
        let ended = leases.map { Ended(number: $0.number, token: $0.token, outcome: "completed") }
        return try exchange(worker, ended, most: 0).results
    }

    /// `run`, `retry` or `delete`.
    /// - Parameter slotMs: the next slot of a schedule that is to go on.
    @discardableResult
    func change(_ op: String, _ number: Int, slotMs: Int? = nil) throws -> [String] {
        try run(
            JobScripts.change,
            ["", op, JobID.digits(number), "", String(limit), slotMs.map { String($0) } ?? ""])
    }

    /// Makes a job what `new` says, as a PUT of it does.
    @discardableResult
    func edit(_ number: Int, _ new: New, dueMs: Int? = nil) throws -> [String] {
        let words = new.words + (new.isSpecial ? ["special", "1"] : [])
        let named = Set(stride(from: 0, to: words.count, by: 2).map { words[$0] })
        let dropped = JobDraft.optionalFields.filter { !named.contains($0) }
        let target = Priority(rawValue: new.fields["priority"] ?? "normal") ?? .normal
        return try run(
            JobScripts.change,
            ["", "edit", JobID.digits(number), "", dueMs.map { String($0) } ?? "", String(target.targetMs)]
                + [String(dropped.count)] + dropped + words)
    }

    func cancel(_ number: Int) throws -> String { try run(JobScripts.cancel, [JobID.digits(number), "test"])[0] }

    // MARK: Looking

    func command(_ words: String...) throws -> RESPConnection.Reply { try redis.command(words) }
    func command(words: [String]) throws -> RESPConnection.Reply { try redis.command(words) }

    func fields(_ number: Int) throws -> [String: String] {
        let words = try command("HGETALL", base + "job:" + JobID.digits(number)).elements.map(\.text)
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        return fields
    }

    func state(_ number: Int) throws -> StateLine { StateLine(try fields(number)["state"] ?? "pending") }

    func members(_ set: String) throws -> [Int] {
        try command("ZRANGE", base + set, "0", "-1").elements.compactMap { Int($0.text) }
    }

    /// What is wrong with the queue: nothing, in a good one.
    func faults(types: [String] = ["noop"]) throws -> [String] {
        var faults: [String] = []
        let sets =
            types.flatMap { ["ready:" + $0, "leases:" + $0] } + [
                "delayed", "waiting", "schedules", "idle", "ended", "dead",
            ]
        for set in sets {
            let reply = try call(JobScripts.audit, QueueKeys.ofScript(base), [set, "0", "1000"])
            faults += reply.elements.map { set + ": " + $0.text }
        }
        return faults
    }
}

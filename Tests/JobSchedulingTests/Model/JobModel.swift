import TestSupport
import Testing

@testable import JobScheduling

/// A queue in which everything happens at random that users and workers can do, and what is known of its jobs.
final class JobModel {
    typealias New = ScriptedQueue.New
    typealias Lease = ScriptedQueue.Lease

    struct Job {
        var new: New
        /// What whoever runs it is to be given.
        var config: String
        /// It cannot start before; nil when it starts only when asked to.
        var notBeforeMs: Int?
        /// Asked to run whatever it waits for.
        var isAskedFor = false
        var starts = 0
        var awaits: String?
        /// The run of a schedule, which nobody but the scripts made.
        var isRun = false
    }

    struct Worker {
        let name: String
        var leases: [Lease] = []
        var lastBeatMs: Int
    }

    let queue: ScriptedQueue
    var random: SeededRandom
    var jobs: [Int: Job] = [:]
    var workers: [Worker] = []
    var batches: [(id: String, isSealed: Bool)] = []
    var lastToken = 0
    var calls = 0
    /// What was done, for whoever looks for the reason of a fault.
    var log: [String] = []
    let laws: ([String]) -> Void
    static let types = ["noop", "other"]

    init(_ queue: ScriptedQueue, _ random: SeededRandom, fail: @escaping ([String]) -> Void) throws {
        self.queue = queue
        self.random = random
        laws = fail
        workers = ["a.0", "a.1", "b"].map { Worker(name: $0, lastBeatMs: queue.nowMs) }
        try queue.run(JobScripts.settings, ["pools", "cpu", "8", "gpu", "2"])
    }

    func note(_ words: Any...) { log.append(words.map { "\($0)" }.joined(separator: " ")) }
    func fault(_ text: String) { laws([text]) }

    // MARK: Making jobs

    func job(inBatch: Bool = false) -> New {
        var new = New()
        new.type = random.pick(JobModel.types)
        let isLarge = random.oneIn(5)
        new.config = #"{"v":\#(random.int(0...3))\#(isLarge ? #","x":"\#(String(repeating: "y", count: 600))""# : "")}"#
        if random.oneIn(3) { new.fields["priority"] = random.pick(["critical", "high", "low"]) }
        if random.oneIn(3) { new.fields["retries"] = String(random.int(0...2)) }
        if random.oneIn(5) { new.fields["unique"] = "u\(random.int(0...2))" }
        if new.fields["unique"] != nil, random.oneIn(3) { new.fields["uniqueMs"] = String(random.int(1000...60_000)) }
        if random.oneIn(4) {
            let strategy = random.pick(["queue", "queue", "merge", "merge", "reschedule", "cancel"])
            new.fields["conflict"] = "\(strategy) \(random.int(0...2) * 500) n\(random.int(0...1))"
        }
        if random.oneIn(4) {
            new.fields["needs"] = random.pick(["cpu=\(random.int(1...8))", "gpu=\(random.int(1...2))", "cpu=3 gpu=1"])
        }
        if random.oneIn(4) { new.fields["cache"] = cache(new) }
        if random.oneIn(8) { new.fields["timeout"] = String(random.int(1...4) * 1000) }
        if random.oneIn(8) { new.fields["retryTimeouts"] = "1" }
        if random.oneIn(10) { new.fields["preemptible"] = "1" }
        if random.oneIn(4), let after = someDependencies() { new.fields["after"] = after }
        guard !inBatch else { return new }
        switch random.int(0...9) {
        case 0:
            new.place = "delayed"
            new.dueMs = queue.nowMs + random.int(-5000...20_000)
        case 1: new.place = "idle"
        case 2:
            new.place = "schedules"
            new.dueMs = queue.nowMs + random.int(0...3000)
            new.fields["schedule"] = "@every 2s"
            new.fields["overlap"] = random.pick(["allow", "forbid", "queue", "replace"])
        default: new.dueMs = (Priority(rawValue: new.fields["priority"] ?? "normal") ?? .normal).targetMs
        }
        return new
    }

    /// One digest for each type and config, as `ConfigDigest` gives.
    func cache(_ new: New) -> String { "\(new.type)-\(new.config.utf8.count)-\(new.config.prefix(7).suffix(2)) 30000" }

    private func someDependencies() -> String? {
        let others = jobs.keys.sorted().suffix(12)
        guard !others.isEmpty else { return nil }
        return (0..<random.int(1...2)).map { _ in
            "\(JobID.digits(random.pick(Array(others)))):\(random.pick(["success", "failure", "completion"]))"
        }.joined(separator: " ")
    }

    func create() throws {
        var news = (0..<random.int(1...4)).map { _ in job() }
        // Some wait for others of the same call.
        for i in news.indices where i > 0 && random.oneIn(3) {
            let place = random.int(1...i)
            news[i].fields["after"] = "#\(place):\(random.pick(["success", "completion"]))"
        }
        let made = try queue.enqueue(news)
        note("create", made.first, made.outcomes, news.map { "\($0.type) \($0.place) \($0.fields)" })
        remember(news, made)
    }

    func remember(_ news: [New], _ made: (first: Int, outcomes: [String])) {
        if made.first == 0 { return }
        for (i, outcome) in made.outcomes.enumerated() {
            if outcome == "created" { add(made.first + i, news[i]) }
            if outcome.hasPrefix("merged "), let other = outcome.split(separator: " ").last.flatMap({ Int($0) }) {
                jobs[other]?.config = news[i].config
                jobs[other]?.new.config = news[i].config
                jobs[other]?.new.fields["cache"] = news[i].fields["cache"]
            }
        }
    }

    private func add(_ number: Int, _ new: New) {
        let isLater = new.place == "delayed" || new.place == "schedules"
        jobs[number] = Job(
            new: new, config: new.config, notBeforeMs: new.place == "idle" ? nil : isLater ? new.dueMs : 0)
    }

    // MARK: Batches

    func openBatch() throws {
        let id = "b\(batches.count)"
        batches.append((id, false))
        var callback = ""
        if random.oneIn(2) {
            let new = New(place: "waiting", dueMs: 0, fields: ["awaits": id])
            let made = try queue.enqueue([new])
            callback = JobID.digits(made.first)
            jobs[made.first] = Job(new: new, config: "{}", notBeforeMs: 0, awaits: id)
        }
        if random.oneIn(10) { return note("a batch that its maker forgot", id, callback) }
        let count = random.int(1...4)
        try queue.batch("open", id, total: count, callback: callback)
        let news = (0..<count).map { _ in job(inBatch: true) }
        let made = try queue.enqueue(news, batch: (id, 0))
        note("batch", id, callback, made.first, made.outcomes, news.map { "\($0.type) \($0.fields)" })
        remember(news, made)
        // A job of it that would wait for the callback is refused, and its maker gives up.
        if made.first == 0 { batches[batches.count - 1].isSealed = true }
        if made.first == 0 || random.oneIn(4) { return }
        try seal(batches.count - 1)
    }

    private func seal(_ i: Int) throws {
        let word = try queue.batch("release", batches[i].id)
        note("release", batches[i].id, word)
        batches[i].isSealed = true
    }

    /// Completes a batch, or drops those whose time is over.
    func goOnWithBatches() throws {
        for i in batches.indices where !batches[i].isSealed && random.oneIn(3) { try seal(i) }
        let late = try queue.command("ZRANGEBYSCORE", queue.base + "unsealed", "-inf", String(queue.nowMs))
        for id in late.elements.map(\.text) {
            note("drop", id, try queue.batch("drop", id))
            for i in batches.indices where batches[i].id == id { batches[i].isSealed = true }
        }
    }

    // MARK: Schedules

    /// What upkeep does.
    func tick(_ every: Int = 2000) throws {
        let words = try queue.run(JobScripts.tick, [])
        for at in stride(from: 2, to: words.count - 7, by: 8) {
            let slot = Int(words[at + 1]) ?? 0
            let next = random.oneIn(6) ? "0" : String(slot + every * (1 + (queue.nowMs - slot) / every))
            let made = try queue.run(
                JobScripts.fire, [words[at], words[at + 1], next, "0", String(queue.limit), words[at + 1]])
            note("fire", words[at], slot, next, made)
        }
    }
}

import EventLoops
import HTTP
import JSON
import Redis
import Services

/// One loop's way to the jobs in Redis: a script call for each step.
final class JobStore {
    let context: ServiceContext
    let keys: QueueKeys
    let limits: JobLimits
    static let budgetUs: Int64 = 5_000_000
    /// Queues whose name was known to be listed, and when (`MonotonicClock`, µs).
    private var listed: [QueueName: Int64] = [:]
    /// After this the list is looked at again: somebody may have emptied Redis.
    private static let listedUs: Int64 = 2_000_000

    init(context: ServiceContext) {
        self.context = context
        keys = QueueKeys(prefix: context.process.prefix)
        limits = JobLimits(context.process.settings)
    }

    /// What every script of these keys is told first: a given time (none: Redis's own), and which server we think we talk
    /// to.
    func head(_ base: String) -> [String] { ["", base.withByteView { context.redis.serverRunID(of: $0) }] }

    // MARK: Creating

    /// What became of jobs that were to be created.
    struct Creation {
        enum Outcome: Equatable {
            case created(JobID)
            /// The holder of the unique key.
            case existing(JobID)
            case merged(JobID)
        }

        var createdMs: Int
        var outcomes: [Outcome]
        /// The run id of the server that has done it.
        var server = ""
        /// The first slots of schedules, by their place.
        var firstSlotsMs: [Int: Int] = [:]
    }

    /// Creates all of `drafts`, which are of one queue, or none.
    /// - Parameters:
    ///   - batch: the batch they belong to, and how many jobs it has so far; they are held until it is sealed.
    ///   - awaited: the batch whose end they are to follow.
    ///   - field: the name of the field of a draft, for refusals (`jobs[3].`).
    func create(
        _ drafts: [JobDraft], in queue: QueueName, batch: (name: String, enqueued: Int)? = nil,
        awaiting awaited: String? = nil,
        key: IdempotencyKey? = nil, field: (Int) -> String = { _ in "" }
    ) async throws -> Creation {
        try await list(queue)
        let base = keys.base(queue)
        let recordStart = key.map { $0.record(status: 201, body: "") } ?? ""
        var arguments =
            head(base) + [
                recordStart, batch.map { "\($0.name) \($0.enqueued)" } ?? "", String(limits.jobsPerQueue),
                String(drafts.count),
            ]
        let firstSlots = try await firstSlots(drafts, queue)
        for (i, draft) in drafts.enumerated() {
            let place =
                batch != nil
                ? ["held", "0"] : awaited != nil ? ["waiting", "0"] : place(draft, firstSlotMs: firstSlots[i])
            arguments += [draft.type] + place
            let fields = draft.fields(inBatch: batch?.name, awaiting: awaited)
            let isSpecial = draft.isSpecial || batch != nil || awaited != nil
            arguments += [isSpecial ? "1" : "", String(fields.count)] + fields
        }
        let (reply, server) = try await context.redis.runNamingServer(
            JobScripts.enqueue, keys: QueueKeys.ofScript(base, record: key.map { keys.answer($0, queue) }),
            arguments: arguments, budgetUs: JobStore.budgetUs)
        var result = try creation(reply.words, queue: queue, drafts: drafts, key: key, field: field)
        result.server = server
        result.firstSlotsMs = firstSlots
        tellWhatIsDue(drafts, queue, firstSlots, createdMs: result.createdMs)
        return result
    }

    /// What is due later is looked at in time by this process; another one that was not told looks soon enough.
    private func tellWhatIsDue(_ drafts: [JobDraft], _ queue: QueueName, _ firstSlots: [Int: Int], createdMs: Int) {
        var first = firstSlots.values.min()
        for draft in drafts {
            if case .at(let ms) = draft.timing { first = min(first ?? ms, ms) }
        }
        guard let first else { return }
        let notice = JobSchedulingService.DueNotice(queue: queue, inMs: first - createdMs)
        context.process.broadcasts.send(notice, to: JobSchedulingService.dueTopic)
    }

    /// The first slots of the schedules among `drafts`, by their place: computed from Redis's time, not from ours.
    private func firstSlots(_ drafts: [JobDraft], _ queue: QueueName) async throws -> [Int: Int] {
        var slots: [Int: Int] = [:]
        var nowMs: Int?
        for (i, draft) in drafts.enumerated() {
            guard case .repeatedly(let repetition) = draft.timing else { continue }
            let ms: Int
            if let nowMs { ms = nowMs } else { ms = try await self.nowMs(queue) }
            nowMs = ms
            slots[i] = ScheduleSlots.first(repetition, nowMs: ms)
        }
        return slots
    }

    private func place(_ draft: JobDraft, firstSlotMs: Int?) -> [String] {
        switch draft.timing {
        case .now: return ["ready", String(draft.priority.targetMs)]
        case .at(let ms): return ["delayed", String(ms)]
        case .manually: return ["idle", "0"]
        case .repeatedly: return ["schedules", String(firstSlotMs ?? ScheduleSlots.neverMs)]
        }
    }

    private func creation(
        _ words: [String], queue: QueueName, drafts: [JobDraft], key: IdempotencyKey?, field: (Int) -> String
    ) throws -> Creation {
        switch words.first {
        case "recorded":
            guard let key, let answer = words.last else { break }
            let (_, body) = try key.answer(in: answer)
            // The record's words are those of the first answer, of which each outcome may have two.
            var parts = body.split(separator: " ").map(String.init)
            guard parts.count >= 2 else { break }
            let head = ["created", parts.removeFirst(), parts.removeFirst()]
            var outcomes: [String] = []
            while !parts.isEmpty {
                let word = parts.removeFirst()
                outcomes.append(word == "created" || parts.isEmpty ? word : word + " " + parts.removeFirst())
            }
            return try creation(head + outcomes, queue: queue, drafts: drafts, key: nil, field: field)
        case "refused":
            guard words.count == 4, let place = Int(words[1]) else { break }
            if words[2] == "full" { throw full(queue) }
            if words[2] == "unknown-dependency" {
                let id = Int(words[3]).map { JobID(queue: queue, number: $0).description } ?? words[3]
                throw Problem.impossible(field(place - 1) + "dependencies", "names a job that does not exist: \(id)")
            }
            throw Problem.impossible(
                field(place - 1) + "resources.\(words[3])", "asks for more than the pool of queue \(queue) has")
        case "broken": throw Problem(.conflict, "the batch was removed meanwhile; send it again")
        case "created":
            guard words.count == drafts.count + 3, let createdMs = Int(words[1]), let first = Int(words[2]) else {
                break
            }
            let outcomes = words.dropFirst(3).enumerated().map { i, word -> Creation.Outcome in
                let parts = word.split(separator: " ")
                let other = parts.count > 1 ? Int(parts[1]) : nil
                guard let other else { return .created(JobID(queue: queue, number: first + i)) }
                let id = JobID(queue: queue, number: other)
                return parts[0] == "merged" ? .merged(id) : .existing(id)
            }
            return Creation(createdMs: createdMs, outcomes: outcomes)
        default: break
        }
        throw RedisError.unexpectedReply("enqueue")
    }

    func full(_ queue: QueueName) -> Problem {
        Problem(
            .tooManyRequests,
            "queue \(queue) has \(limits.jobsPerQueue) jobs that have not ended, as many as it may (max-jobs-per-queue)",
            field: "queue", retryAfterS: 5)
    }

    /// Lists the queue's name before it has its first job, so that whoever looks for work finds it.
    func list(_ queue: QueueName) async throws {
        if let sinceUs = listed[queue], context.loop.nowUs - sinceUs < JobStore.listedUs { return }
        let word = try await context.redis.run(
            JobScripts.listQueue, keys: [keys.queues], arguments: [queue.text, String(limits.queues)],
            budgetUs: JobStore.budgetUs
        ).string
        if word == "full" {
            throw Problem(
                .tooManyRequests, "there are \(limits.queues) queues, as many as there may be (max-queues)",
                field: "queue", retryAfterS: 5)
        }
        listed[queue] = context.loop.nowUs
        guard word == "added" else { return }
        let news = ["PUBLISH", keys.prefix + "jobs:news", "queue \(queue.text)"]
        _ = try? await context.redis.send(news, key: keys.queues, budgetUs: JobStore.budgetUs)
    }

    /// Every queue that ever had a job, in order.
    func queues() async throws -> [QueueName] {
        let reply = try await context.redis.send(
            ["SMEMBERS", keys.queues], key: keys.queues, budgetUs: JobStore.budgetUs)
        return (reply.strings ?? []).compactMap { QueueName($0) }.sorted { $0.text < $1.text }
    }

    /// Refuses a key that was used with another body, also for another queue.
    func claim(_ key: IdempotencyKey?) async throws {
        guard let key else { return }
        let name = keys.claim(key)
        let reply = try await context.redis.send(
            ["SET", name, key.record(status: 201, body: "claimed"), "NX", "GET", "PX", String(IdempotencyKey.keptMs)],
            key: name, budgetUs: JobStore.budgetUs)
        if let record = reply.string { _ = try key.answer(in: record) }
    }

    // MARK: Reading

    /// The jobs of these numbers, in their order, those that exist.
    func read(_ queue: QueueName, _ numbers: [String]) async throws -> [JobRecord] {
        guard !numbers.isEmpty else { return [] }
        let reply = try await context.redis.run(
            JobScripts.read, keys: QueueKeys.ofScript(keys.base(queue)), arguments: numbers, budgetUs: JobStore.budgetUs
        )
        guard case .array(let jobs) = reply else { throw RedisError.unexpectedReply("read") }
        return jobs.compactMap { JobRecord(queue: queue, reply: $0.words) }
    }

    /// One job. One that was merged into another is that other.
    func find(_ id: JobID) async throws -> JobRecord {
        guard let job = try await read(id.queue, [id.digits]).first else {
            throw Problem(.notFound, "there is no job \(id)")
        }
        guard let other = job.mergedInto else { return job }
        guard let merged = try await read(id.queue, [other]).first else {
            throw Problem(.notFound, "there is no job \(id)")
        }
        return merged
    }

    // MARK: Changing

    /// Runs a script of a queue whose reply is words.
    /// - Parameter record: the key of an answer's record.
    func run(
        _ script: Script, _ queue: QueueName, _ arguments: [String], record: String? = nil,
        budgetUs: Int64 = JobStore.budgetUs
    ) async throws -> [String] {
        try await runNamingServer(script, queue, arguments, record: record, budgetUs: budgetUs).words
    }

    /// The same, with the run id of the server that ran it.
    func runNamingServer(
        _ script: Script, _ queue: QueueName, _ arguments: [String], record: String? = nil,
        budgetUs: Int64 = JobStore.budgetUs
    ) async throws -> (words: [String], server: String) {
        let base = keys.base(queue)
        let (reply, server) = try await context.redis.runNamingServer(
            script, keys: QueueKeys.ofScript(base, record: record), arguments: head(base) + arguments,
            budgetUs: budgetUs)
        return (reply.words, server)
    }
}

extension RedisReply {
    /// A reply as words: its one word, or those of its array; numbers as text, nil as an empty word.
    var words: [String] {
        if case .array(let elements) = self { return elements.map { $0.word } }
        return [word]
    }

    private var word: String {
        switch self {
        case .integer(let number): String(number)
        default: string ?? ""
        }
    }
}

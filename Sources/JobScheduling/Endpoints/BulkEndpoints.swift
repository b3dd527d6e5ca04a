import Digests
import HTTP
import JSON
import Services

/// Many jobs in one call: `/api/jobs/bulk` (up to 1000, all or none) and `/api/batches` (up to 10,000 that belong
/// together, with a job for when all have ended).
final class BulkEndpoints {
    private let store: JobStore
    private let kinds: KindRegistry
    private let types: ExternalTypes
    private static let mostInBulk = 1000
    private static let mostInBatch = 10_000
    private static let bodyLimit = 32 << 20
    private static let chunk = 500

    init(store: JobStore, kinds: KindRegistry, types: ExternalTypes) {
        self.store = store
        self.kinds = kinds
        self.types = types
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/jobs/bulk", role: .admin, bodyLimit: BulkEndpoints.bodyLimit, isAudited: false) {
            [unowned self] exchange, caller in try await bulk(exchange, caller)
        }
        routes.on(.post, "/api/batches", role: .admin, bodyLimit: BulkEndpoints.bodyLimit, isAudited: false) {
            [unowned self] exchange, caller in try await batch(exchange, caller)
        }
        routes.on(.get, "/api/batches/{id}", role: .read) { [unowned self] exchange, _ in
            let id = try BatchID(exchange.parameter(0)).required("id")
            exchange.reply(200, json: try await status(id))
        }
    }

    // MARK: Reading

    /// The jobs of a body, every one of them checked before anything is stored, names of the same request resolved.
    private func drafts(_ fields: inout Fields, most: Int) async throws -> [JobDraft] {
        guard let elements = try fields.array("jobs", maxCount: most), !elements.isEmpty else {
            throw Problem.field("jobs", "must have 1 to \(most) jobs")
        }
        var jobs: [ParsedJob] = []
        jobs.reserveCapacity(elements.count)
        for (i, element) in elements.enumerated() { jobs.append(try JobDraftParser.parse(element, of: "jobs[\(i)]")) }
        let drafts = try JobGraph.resolve(jobs)
        let queue = drafts[0].queue
        var external: Set<String>?
        for (i, draft) in drafts.enumerated() {
            guard draft.queue == queue else {
                throw Problem.impossible("jobs[\(i)].queue", "must be that of the others, \(queue)")
            }
            if kinds[draft.type] == nil, external == nil { external = try await types.names(queue) }
            try kinds.check(draft, named: "jobs[\(i)].", external: external ?? [])
        }
        return drafts
    }

    private func bulk(_ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try Fields(try exchange.jsonBody())
        let drafts = try await drafts(&fields, most: BulkEndpoints.mostInBulk)
        try fields.finish()
        let promises = try await promises(drafts)
        let key = try IdempotencyKey(exchange, caller: caller)
        try await store.claim(key)
        let creation = try await store.create(drafts, in: drafts[0].queue, key: key) { "jobs[\($0)]." }
        for promise in promises { try await promise.confirm(writtenBy: [creation.server]) }
        exchange.beginReply(201)
        exchange.finishReply(contentType: "application/json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            json.field("created", creation.outcomes.count { if case .created = $0 { true } else { false } })
            json.beginArray("jobs")
            for outcome in creation.outcomes {
                json.beginObject()
                switch outcome {
                case .created(let id): json.field("id", id.description)
                case .existing(let id):
                    json.field("id", id.description)
                    json.field("existing", true)
                case .merged(let id):
                    json.field("id", id.description)
                    json.field("merged", true)
                }
                json.endObject()
            }
            json.endArray()
            json.endObject()
        }
    }

    /// What the jobs of a request are to be safe against, each once. Refuses what this Redis cannot promise, before
    /// anything is stored.
    private func promises(_ drafts: [JobDraft]) async throws -> [DurabilityPromise] {
        var promises: [DurabilityPromise] = []
        for durability in Set(drafts.map(\.durability)) {
            let effect = store.keys.durable(drafts[0].queue)
            promises.append(try await durability.prepare([effect], in: store.context))
        }
        return promises
    }

    // MARK: Batches

    private func batch(_ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try Fields(try exchange.jsonBody())
        let name = try fields.string("name") ?? "batch"
        var callback: JobDraft?
        if let value = fields.value("callback") { callback = try JobDraftParser.parse(value, of: "callback").alone() }
        let drafts = try await drafts(&fields, most: BulkEndpoints.mostInBatch)
        try fields.finish()
        let queue = drafts[0].queue
        if let draft = callback {
            guard draft.queue == queue else {
                throw Problem.impossible("callback.queue", "must be that of the jobs, \(queue)")
            }
            try kinds.check(
                draft, named: "callback.", external: kinds[draft.type] == nil ? try await types.names(queue) : [])
        }
        if let i = drafts.firstIndex(where: { if case .now = $0.timing { false } else { true } }) {
            throw Problem.impossible("jobs[\(i)]", "of a batch runs once, as soon as the batch is complete")
        }
        let promises = try await promises(drafts)
        let key = try IdempotencyKey(exchange, caller: caller)
        try await store.claim(key)
        // The same key names the same batch, so a request that a dead replica began is carried on.
        let id = BatchID(queue: queue, digest: key?.name ?? RandomID.hex(bytes: 12))
        let servers = try await fill(id, name: name, drafts, callback)
        for promise in promises { try await promise.confirm(writtenBy: servers) }
        exchange.stashHeader("Location", "/api/batches/\(id)")
        exchange.reply(201, json: try await status(id))
    }

    /// - Returns: the servers that have done it.
    private func fill(
        _ id: BatchID, name: String, _ drafts: [JobDraft], _ callback: JobDraft?
    ) async throws -> [String] {
        var servers: [String] = []
        var known = try await hash(id)
        if known["total"] == nil {
            var number = known["callback"] ?? ""
            if let callback, number.isEmpty {
                let made = try await store.create([callback], in: id.queue, awaiting: id.digest)
                if case .created(let job)? = made.outcomes.first { number = job.digits }
                servers.append(made.server)
            }
            servers.append(
                try await store.runNamingServer(
                    JobScripts.batchOpen, id.queue, [id.digest, name, String(drafts.count), number]
                ).server)
            known = try await hash(id)
        }
        var enqueued = known["enqueued"].flatMap { Int($0) } ?? 0
        while known["state"] == "open", enqueued < drafts.count {
            let chunk = Array(drafts[enqueued..<min(enqueued + BulkEndpoints.chunk, drafts.count)])
            let start = enqueued
            let made = try await store.create(chunk, in: id.queue, batch: (id.digest, enqueued)) {
                "jobs[\(start + $0)]."
            }
            servers.append(made.server)
            enqueued += chunk.count
        }
        while true {
            let (words, server) = try await store.runNamingServer(
                JobScripts.batch, id.queue, ["release", id.digest])
            servers.append(server)
            switch words.first {
            case "more": continue
            case "sealed": return servers
            default: throw Problem(.conflict, "the batch was removed meanwhile; send it again")
            }
        }
    }

    private func hash(_ id: BatchID) async throws -> [String: String] {
        let key = store.keys.base(id.queue) + "batch:" + id.digest
        let words = try await store.context.redis.send(["HGETALL", key], key: key, budgetUs: JobStore.budgetUs).words
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        return fields
    }

    private func status(_ id: BatchID) async throws -> JSONValue {
        let fields = try await hash(id)
        guard let state = fields["state"] else { throw Problem(.notFound, "there is no batch \(id)") }
        func int(_ name: String) -> Int { fields[name].flatMap { Int($0) } ?? 0 }
        let outcomes: [JobStatus] = [.completed, .failed, .timeout, .dead, .cancelled, .skipped]
        let ended = outcomes.reduce(0) { $0 + int($1.rawValue) }
        let total = int("total")
        let word = fields["ended"] != nil ? "ended" : state == "sealed" ? "running" : "filling"
        return .object([
            .init("id", .string(id.description)), .init("name", .string(fields["name"] ?? "")),
            .init("queue", .string(id.queue.text)), .init("status", .string(word)), .init("total", .int(total)),
            .init("ended", .int(ended)), .init("open", .int(total - ended)),
            .init("counts", .object(outcomes.map { .init($0.rawValue, .int(int($0.rawValue))) })),
            .init(
                "callback",
                fields["callback"].flatMap { Int($0) }.map {
                    .string(JobID(queue: id.queue, number: $0).description)
                } ?? .null),
            .init("createdAt", JobRecord.time(fields["created"].flatMap { Int($0) })),
            .init("endedAt", JobRecord.time(fields["ended"].flatMap { Int($0) })),
        ])
    }
}

/// Names a batch: its queue, and what it is called there (`default.3f2a…`).
struct BatchID: CustomStringConvertible {
    let queue: QueueName
    let digest: String

    init(queue: QueueName, digest: String) {
        self.queue = queue
        self.digest = digest
    }

    init?(_ text: String) {
        guard let dot = text.lastIndex(of: "."), let queue = QueueName(String(text[..<dot])) else { return nil }
        let digest = text[text.index(after: dot)...]
        guard (1...64).contains(digest.utf8.count),
            digest.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(queue: queue, digest: String(digest))
    }

    var description: String { "\(queue.text).\(digest)" }
}

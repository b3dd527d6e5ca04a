import Digests
import EventLoops
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
    /// How much of a batch one call enqueues.
    private static let chunk = 500
    private static let chunkBytes = 1 << 20

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

    /// What a body asks for, as far as it can be told from the body alone; read on another thread when it is large.
    private struct Request: Sendable {
        var drafts: [JobDraft]
        var name = "batch"
        var callback: JobDraft?

        static func bulk(_ body: JSONValue) throws(Problem) -> Request {
            var fields = try Fields(body)
            let request = Request(drafts: try drafts(&fields, most: BulkEndpoints.mostInBulk))
            try fields.finish()
            return request
        }

        static func batch(_ body: JSONValue) throws(Problem) -> Request {
            var fields = try Fields(body)
            let name = try fields.string("name") ?? "batch"
            let callback = try fields.value("callback").map { value throws(Problem) in
                try JobDraftParser.parse(value, of: "callback").alone()
            }
            let request = Request(
                drafts: try drafts(&fields, most: BulkEndpoints.mostInBatch), name: name, callback: callback)
            try fields.finish()
            if let i = request.drafts.firstIndex(where: { !$0.timing.isNow }) {
                throw .impossible("jobs[\(i)]", "of a batch runs once, as soon as the batch is complete")
            }
            try request.checkCallback()
            return request
        }

        /// The jobs of a body, names of the same request resolved.
        private static func drafts(_ fields: inout Fields, most: Int) throws(Problem) -> [JobDraft] {
            guard let elements = try fields.array("jobs", maxCount: most), !elements.isEmpty else {
                throw .field("jobs", "must have 1 to \(most) jobs")
            }
            var jobs: [ParsedJob] = []
            jobs.reserveCapacity(elements.count)
            for (i, element) in elements.enumerated() {
                let job = try JobDraftParser.parse(element, of: "jobs[\(i)]")
                if let queue = jobs.first?.queue, job.queue != queue {
                    throw .impossible("jobs[\(i)].queue", "must be that of the others, \(queue)")
                }
                jobs.append(job)
            }
            return try JobGraph.resolve(jobs)
        }

        /// A callback is started by the batch's end and by nothing else; another job must not take its place.
        private func checkCallback() throws(Problem) {
            guard let callback else { return }
            guard callback.queue == drafts[0].queue else {
                throw .impossible("callback.queue", "must be that of the jobs, \(drafts[0].queue)")
            }
            guard callback.timing.isNow else {
                throw .impossible("callback", "runs once, when the batch has ended, and not at a time of its own")
            }
            guard callback.dependencies.isEmpty else {
                throw .impossible("callback.dependencies", "cannot be given: the callback waits for the batch alone")
            }
            guard callback.unique == nil, callback.conflict?.strategy != .merge else {
                throw .impossible(
                    callback.unique == nil ? "callback.conflict" : "callback.unique",
                    "cannot be given: another job would then stand for the callback")
            }
        }
    }

    /// Refuses jobs that their kinds could not run.
    private func check(_ request: Request) async throws {
        let queue = request.drafts[0].queue
        let isKnown = request.drafts.allSatisfy { kinds[$0.type] != nil }
        let isCallbackKnown = request.callback.map { kinds[$0.type] != nil } ?? true
        let external = isKnown && isCallbackKnown ? [] : try await types.names(queue)
        var slices = WorkSlices(store.context.loop)
        for (i, draft) in request.drafts.enumerated() {
            try kinds.check(draft, named: "jobs[\(i)].", external: external)
            await slices.pauseIfLong()
        }
        if let callback = request.callback { try kinds.check(callback, named: "callback.", external: external) }
    }

    private func bulk(_ exchange: Exchange, _ caller: Caller) async throws {
        let request = try await exchange.jsonBodyOffLoop(Request.bulk)
        try await check(request)
        let drafts = request.drafts
        let promises = try await promises(drafts)
        let key = try await IdempotencyKey.ofLargeBody(exchange, caller: caller)
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
        let request = try await exchange.jsonBodyOffLoop(Request.batch)
        try await check(request)
        let promises = try await promises(request.drafts)
        let key = try await IdempotencyKey.ofLargeBody(exchange, caller: caller)
        try await store.claim(key)
        // The same key names the same batch, so a request that a dead replica began is carried on.
        let id = BatchID(queue: request.drafts[0].queue, digest: key?.name ?? RandomID.hex(bytes: 12))
        let servers: [String]
        do { servers = try await fill(id, request) } catch let problem as Problem {
            // What is refused leaves nothing behind; what does not come through here, the upkeep drops after a minute.
            try? await drop(id)
            throw problem
        }
        for promise in promises { try await promise.confirm(writtenBy: servers) }
        exchange.stashHeader("Location", "/api/batches/\(id)")
        exchange.reply(201, json: try await status(id))
    }

    private func drop(_ id: BatchID) async throws {
        var answer = "more"
        while answer == "more" {
            answer = try await store.run(JobScripts.batch, id.queue, ["drop", id.digest]).first ?? "gone"
        }
    }

    /// - Returns: the servers that have done it.
    private func fill(_ id: BatchID, _ request: Request) async throws -> [String] {
        let drafts = request.drafts
        var servers: [String] = []
        var known = try await hash(id)
        if known["total"] == nil {
            var number = known["callback"] ?? ""
            if let callback = request.callback, number.isEmpty {
                let made = try await store.create([callback], in: id.queue, awaiting: id.digest)
                if case .created(let job)? = made.outcomes.first { number = job.digits }
                servers.append(made.server)
            }
            servers.append(
                try await store.runNamingServer(
                    JobScripts.batchOpen, id.queue, [id.digest, request.name, String(drafts.count), number]
                ).server)
            known = try await hash(id)
        }
        var enqueued = known["enqueued"].flatMap { Int($0) } ?? 0
        while known["state"] == "open", enqueued < drafts.count {
            let chunk = BulkEndpoints.chunk(drafts[enqueued...])
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

    /// The first of the jobs, as many as one call takes.
    private static func chunk(_ drafts: ArraySlice<JobDraft>) -> [JobDraft] {
        var bytes = 0
        let end = drafts.prefix(chunk).firstIndex { draft in
            bytes += draft.config.utf8.count
            return bytes > chunkBytes
        }
        return Array(drafts[..<max(end ?? min(drafts.startIndex + chunk, drafts.endIndex), drafts.startIndex + 1)])
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

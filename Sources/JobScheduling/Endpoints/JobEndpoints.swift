import EventLoops
import HTTP
import JSON
import Redis
import Services
import TimeZones

/// `/api/jobs` and what lies below it: one job at a time.
final class JobEndpoints {
    private let store: JobStore
    private let kinds: KindRegistry
    private let types: ExternalTypes
    private let lists: JobLists

    init(store: JobStore, kinds: KindRegistry, types: ExternalTypes) {
        self.store = store
        self.kinds = kinds
        self.types = types
        lists = JobLists(store: store)
    }

    func add(to routes: Routes) {
        // A job is its own record.
        routes.on(.post, "/api/jobs", role: .admin, isAudited: false) { [unowned self] exchange, caller in
            try await create(exchange, caller)
        }
        routes.on(.get, "/api/jobs", role: .read) { [unowned self] exchange, _ in try await lists.jobs(exchange) }
        routes.on(.get, "/api/dead", role: .read) { [unowned self] exchange, _ in try await lists.dead(exchange) }
        routes.on(.get, "/api/jobs/{id}", role: .read) { [unowned self] exchange, _ in
            JobEndpoints.reply(exchange, 200, try await store.find(try JobEndpoints.id(exchange)))
        }
        routes.on(.put, "/api/jobs/{id}", role: .admin) { [unowned self] exchange, _ in try await edit(exchange) }
        routes.on(.delete, "/api/jobs/{id}", role: .admin) { [unowned self] exchange, _ in try await delete(exchange) }
        routes.on(.post, "/api/jobs/{id}/run", role: .admin) { [unowned self] exchange, caller in
            try await again(exchange, caller, "run")
        }
        routes.on(.post, "/api/jobs/{id}/retry", role: .admin) { [unowned self] exchange, caller in
            try await again(exchange, caller, "retry")
        }
        routes.on(.post, "/api/jobs/{id}/cancel", role: .admin) { [unowned self] exchange, _ in
            try await cancel(exchange)
        }
        routes.on(.get, "/api/jobs/{id}/history", role: .read) { [unowned self] exchange, _ in
            try await history(exchange)
        }
        routes.on(.get, "/api/jobs/{id}/result", role: .read) { [unowned self] exchange, _ in
            try await result(exchange)
        }
    }

    static func id(_ exchange: Exchange) throws(Problem) -> JobID {
        let text = exchange.parameter(0)
        guard let id = JobID(text) else { throw Problem(.notFound, "there is no job \(text)") }
        return id
    }

    /// - Parameter before: the version that was changed.
    static func reply(_ exchange: Exchange, _ status: Int, _ job: JobRecord, before: Int? = nil) {
        if let before { exchange.change = Change(job.id.description, before: before, after: job.version) }
        exchange.stashHeader("ETag", "\"\(job.version)\"")
        exchange.reply(status, json: job.json)
    }

    // MARK: Creating

    private func create(_ exchange: Exchange, _ caller: Caller) async throws {
        var draft = try JobDraftParser.parse(try exchange.jsonBody()).alone()
        draft.traceparent = exchange.header("traceparent").flatMap { $0.count <= 64 ? $0.string : nil }
        try await check(draft)
        let key = try IdempotencyKey(exchange, caller: caller)
        let promise = try await draft.durability.prepare([store.keys.durable(draft.queue)], in: store.context)
        try await store.claim(key)
        let creation = try await store.create([draft], in: draft.queue, key: key)
        try await promise.confirm(writtenBy: [creation.server])
        switch creation.outcomes[0] {
        case .created(let id):
            exchange.stashHeader("Location", "/api/jobs/\(id)")
            let job: JobRecord
            if draft.cache != nil || !draft.dependencies.isEmpty, let stored = try? await store.find(id) {
                job = stored
            } else {
                job = JobRecord(
                    id: id, draft: draft, createdMs: creation.createdMs, firstSlotMs: creation.firstSlotsMs[0])
            }
            JobEndpoints.reply(exchange, 201, job)
        case .existing(let id), .merged(let id):
            let job = try await store.find(id)
            guard case .object(let members) = job.json else { return }
            let word = if case .existing = creation.outcomes[0] { "existing" } else { "merged" }
            exchange.reply(200, json: .object(members + [.init(word, .bool(true))]))
        }
    }

    private func check(_ draft: JobDraft) async throws {
        let external = kinds[draft.type] == nil ? try await types.names(draft.queue) : []
        try kinds.check(draft, external: external)
    }

    // MARK: Changing

    private func edit(_ exchange: Exchange) async throws {
        let id = try JobEndpoints.id(exchange)
        let expected = try exchange.ifMatch()
        let draft = try JobDraftParser.parse(try exchange.jsonBody(), isEdit: true).alone()
        let old = try await store.find(id)
        try expected.check(old.version)
        try await check(draft)
        guard draft.queue == id.queue else { throw Problem.impossible("queue", "cannot be changed") }
        guard draft.type == old.type else { throw Problem.impossible("type", "cannot be changed") }
        try old.checkFixed(draft)
        var dueMs = ""
        switch (draft.timing, old.status) {
        case (.repeatedly(let repetition), .scheduled):
            dueMs = String(ScheduleSlots.first(repetition, nowMs: try await store.nowMs(id.queue)))
        case (.repeatedly, _), (_, .scheduled):
            throw Problem.impossible("schedule", "cannot be given to a job without one, nor taken away")
        case (.at(let ms), .pending) where old.dueMs != nil: dueMs = String(ms)
        case (.at, _): throw Problem.impossible("runAt", "can be changed only while the job waits for its time")
        case (.manually, .idle), (.now, _): break
        case (.manually, _): throw Problem.impossible("manual", "cannot be given to a job that runs by itself")
        }
        let fields = draft.fields()
        let named = Set(stride(from: 0, to: fields.count, by: 2).map { fields[$0] })
        let dropped = JobDraft.optionalFields.filter { !named.contains($0) }
        let words = try await store.run(
            JobScripts.change, id.queue,
            ["", "edit", id.digits, String(old.version), dueMs, String(draft.priority.targetMs), String(dropped.count)]
                + dropped + fields)
        try JobEndpoints.refuse(words, id, "edited")
        JobEndpoints.reply(exchange, 200, try await store.find(id), before: old.version)
    }

    private func delete(_ exchange: Exchange) async throws {
        let id = try JobEndpoints.id(exchange)
        let words = try await store.run(
            JobScripts.delete, id.queue, ["", "delete", id.digits, try JobEndpoints.version(exchange)])
        try JobEndpoints.refuse(words, id, "deleted")
        exchange.beginReply(204)
        exchange.finishReply(contentType: nil) { _ in }
    }

    /// `/run` and `/retry`.
    private func again(_ exchange: Exchange, _ caller: Caller, _ op: String) async throws {
        let id = try JobEndpoints.id(exchange)
        let key = try IdempotencyKey(exchange, caller: caller)
        let record = key?.record(status: 200, body: "") ?? ""
        let version = try JobEndpoints.version(exchange)
        func change(_ slot: String) async throws -> [String] {
            try await store.run(
                JobScripts.change, id.queue,
                [record, op, id.digits, version, String(store.limits.jobsPerQueue), slot],
                record: key.map { store.keys.answer($0, id.queue) })
        }
        var words = try await change("")
        // A schedule that had ended goes on with the next slot from now.
        if words.first == "slot" { words = try await change(try await nextSlot(id)) }
        if words.first == "recorded", let key, let last = words.last {
            _ = try key.answer(in: last)
        } else {
            if words.first == "full" { throw store.full(id.queue) }
            try JobEndpoints.refuse(words, id, op == "run" ? "run" : "tried again")
        }
        var members: [JSONValue.Member] = [
            .init("message", .string("Job queued for execution")), .init("id", .string(id.description)),
        ]
        if words.count > 1, words[0] == "done", let run = Int(words[1]) {
            members.append(.init("runId", .string(JobID(queue: id.queue, number: run).description)))
        }
        members.append(.init("status", .string(try await store.find(id).status.rawValue)))
        exchange.reply(200, json: .object(members))
    }

    private func nextSlot(_ id: JobID) async throws -> String {
        let job = try await store.find(id)
        let text = job.fields["schedule"] ?? ""
        let zoneName = job.fields["timeZone"] ?? "UTC"
        guard let schedule = try? Schedule(text), let zone = Zone(identifier: zoneName) else {
            throw Problem(.conflict, "job \(id) has a schedule that cannot be read here: \(text) in \(zoneName)")
        }
        let nowMs = try await store.nowMs(id.queue)
        return String(schedule.next(afterMs: nowMs, in: zone) ?? ScheduleSlots.neverMs)
    }

    private func cancel(_ exchange: Exchange) async throws {
        let id = try JobEndpoints.id(exchange)
        let job = try await store.find(id)
        let words = try await store.run(JobScripts.cancel, id.queue, [job.id.digits, "cancelled by a user"])
        switch words.first {
        case "cancelled": JobEndpoints.reply(exchange, 200, try await store.find(id))
        case "cancelling": JobEndpoints.reply(exchange, 202, try await store.find(id))
        case "ended": throw Problem(.conflict, "job \(id) has ended: it is \(job.status.rawValue)")
        default: throw Problem(.notFound, "there is no job \(id)")
        }
    }

    /// The version that a change is meant for, as the script takes it.
    private static func version(_ exchange: Exchange) throws(Problem) -> String {
        switch try exchange.ifMatch() {
        case .anything: ""
        case .versions(let versions): String(versions.first ?? -1)
        }
    }

    private static func refuse(_ words: [String], _ id: JobID, _ verb: String) throws {
        switch words.first {
        case "done": return
        case "gone": throw Problem(.notFound, "there is no job \(id)")
        case "changed":
            throw Problem(.preconditionFailed, "it has changed: its version is \(words.last ?? "") now")
        case "held":
            let holder = words.last.flatMap { Int($0) }.map { JobID(queue: id.queue, number: $0).description } ?? ""
            throw Problem(.conflict, "job \(id) cannot be \(verb): \(holder) has its unique key", field: "unique")
        case "unknown-dependency", "cycle":
            let other = words.last.flatMap { Int($0) }.map { JobID(queue: id.queue, number: $0).description } ?? ""
            throw Problem.impossible(
                "dependencies",
                words.first == "cycle"
                    ? "would wait for themselves: \(other) waits for \(id)"
                    : "names a job that does not exist: \(other)")
        case "impossible-demand":
            throw Problem.impossible(
                "resources.\(words.last ?? "")", "asks for more than the pool of queue \(id.queue) has")
        case "state": throw Problem(.conflict, "job \(id) cannot be \(verb) while it is \(words.last ?? "")")
        default: throw RedisError.unexpectedReply("change")
        }
    }

    // MARK: What was

    private func history(_ exchange: Exchange) async throws {
        let job = try await store.find(try JobEndpoints.id(exchange))
        let key = store.keys.base(job.id.queue) + "history:" + job.id.digits
        let reply = try await store.context.redis.send(
            ["LRANGE", key, "0", "-1"], key: key, budgetUs: JobStore.budgetUs)
        var entries = reply.words.filter { !$0.isEmpty }.map { HistoryEntry($0, of: job.id).json }
        if job.stateLine.int("token") != nil, job.status == .running || job.status.hasEnded {
            var line = job.fields["state"] ?? ""
            if let error = job.fields["error"] { line += " error=" + error }
            entries.append(HistoryEntry(line, of: job.id).json)
        }
        exchange.reply(200, json: .array(entries))
    }

    private func result(_ exchange: Exchange) async throws {
        let job = try await store.find(try JobEndpoints.id(exchange))
        guard job.status.hasEnded || job.fields["result"] != nil else {
            throw Problem(.conflict, "job \(job.id) has not ended: it is \(job.status.rawValue)")
        }
        exchange.reply(
            200,
            json: .object([
                .init("id", .string(job.id.description)), .init("status", .string(job.status.rawValue)),
                .init("fromCache", .bool(job.fields["fromCache"] != nil)), .init("result", job.result ?? .null),
            ]))
    }
}

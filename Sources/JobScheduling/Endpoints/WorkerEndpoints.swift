import EventLoops
import HTTP
import JSON
import Redis
import Services

/// Workers in any language: heartbeat and finish over HTTP (`LeaseEndpoint` hands out). And who works.
final class WorkerEndpoints {
    private let store: JobStore
    private let leases: LeaseEndpoint
    private var isDraining = false

    init(store: JobStore, leases: LeaseEndpoint) {
        self.store = store
        self.leases = leases
    }

    func add(to routes: Routes) {
        let most = LeaseEndpoint.mostAtOnce
        routes.on(.post, "/api/workers/heartbeat", role: .work, atOnce: most) { [unowned self] exchange, _ in
            try await heartbeat(exchange)
        }
        routes.on(.post, "/api/workers/finish", role: .work, atOnce: most) { [unowned self] exchange, _ in
            try await finish(exchange)
        }
        routes.on(.get, "/api/workers", role: .read) { [unowned self] exchange, _ in try await list(exchange) }
    }

    /// Calls that wait are answered at once.
    func drain() { isDraining = true }

    /// The name of a worker, which may be that of several threads or processes.
    static func worker(_ fields: inout Fields) throws(Problem) -> String {
        let name = try fields.string("worker", max: 128).required("worker")
        let isPlain = name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
                || $0 == 0x2E || $0 == 0x5F
        }
        guard isPlain else { throw .field("worker", "must be letters, digits and . _ -") }
        return name
    }

    // MARK: Heartbeat

    private struct Held {
        var id: ExecutionID
        var progress = ""
        var ended: [String] = []
    }

    private static func execution(_ fields: inout Fields) throws(Problem) -> ExecutionID {
        let text = try fields.string("executionId").required(fields.name("executionId"))
        guard let id = ExecutionID(text) else {
            throw .field(fields.name("executionId"), "is not one that was given out")
        }
        let token = try fields.int("token", in: 1...9_007_199_254_740_991)
        guard token == nil || token == id.token else {
            throw .field(fields.name("token"), "is not the execution's")
        }
        return id
    }

    private func heartbeat(_ exchange: Exchange) async throws {
        var fields = try Fields(try exchange.jsonBody())
        let worker = try WorkerEndpoints.worker(&fields)
        let waitMs = try fields.durationMs("waitMs", in: 0...30_000) ?? 0
        let isAll = try fields.bool("all") ?? false
        var items: [Held] = []
        for (i, element) in try fields.array("items", maxCount: 1000).required("items").enumerated() {
            var item = try Fields(element, of: "items[\(i)]")
            var held = Held(id: try WorkerEndpoints.execution(&item))
            held.progress = item.value("progress")?.text() ?? ""
            guard held.progress.utf8.count <= 1000 else {
                throw Problem.field(item.name("progress"), "must be at most 1000 bytes")
            }
            try item.finish()
            items.append(held)
        }
        try fields.finish()
        let endUs = store.context.loop.nowUs + Int64(waitMs) * 1000
        while true {
            let words = try await heartbeat(worker, items, isAll: isAll)
            let restUs = endUs - store.context.loop.nowUs
            if words.contains(where: { $0 != "ok" }) || restUs <= 0 || isDraining || exchange.isGone {
                return exchange.reply(200, json: WorkerEndpoints.answer(items, words))
            }
            await store.context.loop.sleep(us: min(restUs, 500_000))
        }
    }

    private static func answer(_ items: [Held], _ words: [String]) -> JSONValue {
        let list = zip(items, words).map { item, word -> JSONValue in
            let isHeld = word == "ok" || word == "cancel" || word == "preempt"
            var members: [JSONValue.Member] = [
                .init("executionId", .string(item.id.description)), .init("ok", .bool(isHeld)),
                .init("cancel", .bool(word == "cancel" || word == "preempt")),
            ]
            if !isHeld { members.append(.init("reason", .string(word))) }
            return .object(members)
        }
        return .object([.init("items", .array(list))])
    }

    /// The script's word for each item, in their order.
    private func heartbeat(_ worker: String, _ items: [Held], isAll: Bool) async throws -> [String] {
        var words = Array(repeating: "stale", count: items.count)
        let byQueue = Dictionary(grouping: items.indices) { items[$0].id.job.queue }
        let queues = Array(byQueue.keys)
        let replies = await store.each(queues) { [store] queue in
            let places = byQueue[queue] ?? []
            var arguments = [worker, isAll ? "all" : "some", "2", "running", String(places.count)]
            for i in places { arguments += [items[i].id.job.digits, String(items[i].id.token), items[i].progress] }
            return try await store.run(JobScripts.heartbeat, queue, arguments)
        }
        // Whoever is told of one that failed comes again with all of them; those of the others are renewed by then.
        for (queue, reply) in zip(queues, replies) {
            for (i, word) in zip(byQueue[queue] ?? [], try reply.get()) { words[i] = word }
        }
        return words
    }

    // MARK: Finish

    private enum Outcome: String, CaseIterable { case completed, failed, released, timeout, cancelled }

    private func finish(_ exchange: Exchange) async throws {
        var fields = try Fields(try exchange.jsonBody())
        let worker = try WorkerEndpoints.worker(&fields)
        var items: [Held] = []
        for (i, element) in try fields.array("items", maxCount: 1000).required("items").enumerated() {
            items.append(try WorkerEndpoints.ended(element, "items[\(i)]"))
        }
        var demand: LeaseEndpoint.Demand?
        if var lease = try fields.object("lease") { demand = try LeaseEndpoint.Demand(&lease) }
        try fields.finish()
        var words = Array(repeating: "stale", count: items.count)
        let ended = items
        let byQueue = Dictionary(grouping: items.indices) { ended[$0].id.job.queue }
        let queues = Array(byQueue.keys)
        let replies = await store.each(queues) { [store] queue in
            let places = byQueue[queue] ?? []
            let arguments = [worker, "0", "0", "0"] + places.flatMap { ended[$0].ended }
            return try await store.run(JobScripts.finishAndLease, queue, arguments)
        }
        // Whoever is told of one that failed comes again with all of them; what was accepted is accepted again.
        for (queue, reply) in zip(queues, replies) {
            for (i, word) in zip(byQueue[queue] ?? [], try reply.get().dropFirst(3)) { words[i] = word }
        }
        if items.count == 1, words[0] != "ok" {
            throw Problem(
                .conflict,
                words[0] == "gone"
                    ? "the job is gone"
                    : "the execution has ended otherwise, or its lease was lost; nothing was changed")
        }
        let list = zip(items, words).map { item, word -> JSONValue in
            var members: [JSONValue.Member] = [
                .init("executionId", .string(item.id.description)), .init("ok", .bool(word == "ok")),
            ]
            if word != "ok" { members.append(.init("reason", .string(word))) }
            return .object(members)
        }
        var answer: [JSONValue.Member] = [.init("items", .array(list))]
        if let demand {
            answer.append(.init("executions", .array(try await leases.lease(exchange, worker, demand, call: nil))))
        }
        exchange.reply(200, json: .object(answer))
    }

    private static func ended(_ element: JSONValue, _ name: String) throws(Problem) -> Held {
        var item = try Fields(element, of: name)
        let id = try execution(&item)
        let outcome = try item.word("outcome", Outcome.self).required(item.name("outcome"))
        let result = item.value("result")?.text() ?? ""
        guard result.utf8.count <= 262_144 else { throw .field(item.name("result"), "must be at most 256 KiB") }
        let error = ErrorText.cleaned(item.value("error"))
        let isPermanent = try item.bool("permanent") ?? false
        let retryAfterMs = try item.durationMs("retryAfterMs", in: 0...604_800_000)
        try item.finish()
        let word = outcome == .failed && isPermanent ? "permanent" : outcome.rawValue
        let text = outcome == .completed ? result : error
        return Held(
            id: id,
            ended: [
                id.job.digits, String(id.token), "", word, text, retryAfterMs.map { String($0) } ?? "",
                String(Int.random(in: 0...1000)),
            ])
    }

    // MARK: Who works

    private func list(_ exchange: Exchange) async throws {
        let places = [store.keys.workers] + (try await store.queues()).map(store.keys.base)
        let lists = await store.each(places) { [store] base in
            try await store.context.redis.send(
                ["ZRANGE", base + "workers", "0", "999"], key: base + "workers", budgetUs: JobStore.budgetUs)
        }
        // A name may be listed in several places: what was said last holds.
        var bases: [String: [String]] = [:]
        for (base, names) in zip(places, lists) {
            for name in try names.get().strings ?? [] { bases[name, default: []].append(base) }
        }
        let workers = await store.each(bases.sorted { $0.key < $1.key }) { [unowned self] in
            try await describe($0.key, $0.value)
        }
        exchange.reply(200, json: .array(try workers.compactMap { try $0.get() }))
    }

    private func describe(_ name: String, _ bases: [String]) async throws -> JSONValue? {
        var fields: [String: String] = [:]
        var seenMs = 0
        for base in bases {
            let key = base + "worker:" + name
            let words = try await store.context.redis.send(["HGETALL", key], key: key, budgetUs: JobStore.budgetUs)
                .words
            var said: [String: String] = [:]
            for i in stride(from: 0, to: words.count - 1, by: 2) { said[words[i]] = words[i + 1] }
            guard let ms = said["seen"].flatMap({ Int($0) }) else { continue }
            fields.merge(said) { old, new in ms >= seenMs ? new : old }
            seenMs = max(seenMs, ms)
        }
        guard seenMs > 0 else { return nil }
        func int(_ field: String) -> JSONValue { fields[field].flatMap { Int($0) }.map { .int($0) } ?? .null }
        func list(_ field: String) -> JSONValue {
            .array((fields[field] ?? "").split(separator: ",").map { .string(String($0)) })
        }
        return .object([
            .init("id", .string(name)), .init("lastSeen", JobRecord.time(seenMs)),
            .init("startedAt", JobRecord.time(fields["startedMs"].flatMap { Int($0) })),
            .init("concurrency", int("concurrency")), .init("running", int("running")), .init("types", list("types")),
            .init("queues", list("queues")), .init("cpuPercent", int("cpuPercent")),
            .init("memoryBytes", int("memoryBytes")), .init("pid", int("pid")),
        ])
    }
}

import HTTP
import JSON
import Redis
import Services

/// What holds for whole queues and types: figures, pause, settings, resources, promises.
final class QueueEndpoints {
    private let store: JobStore
    private let kinds: KindRegistry

    init(store: JobStore, kinds: KindRegistry) {
        self.store = store
        self.kinds = kinds
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/queues", role: .read) { [unowned self] exchange, _ in
            let replies = await store.each(try await store.queues()) { [store] in try await store.figures($0).json }
            exchange.reply(200, json: .array(try replies.map { try $0.get() }))
        }
        for op in ["pause", "resume"] {
            routes.on(.post, "/api/queues/{name}/\(op)", role: .admin) { [unowned self] exchange, _ in
                let queue = try QueueName(exchange.parameter(0)).required("name")
                // Jobs that name no queue go into the standard one, so it may be paused before the first of them.
                let known = try await store.queues()
                guard queue == .standard || known.contains(queue) else {
                    throw Problem(.notFound, "there is no queue \(queue)")
                }
                _ = try await store.run(JobScripts.settings, queue, [op])
                exchange.reply(200, json: try await store.figures(queue).json)
            }
        }
        routes.on(.get, "/api/job-types/{type}", role: .read) { [unowned self] exchange, _ in
            let (queue, type) = try QueueEndpoints.place(exchange)
            let known = try await store.figures(queue).types.first { $0.name == type }
            guard known != nil || kinds[type] != nil else { throw Problem(.notFound, "there is no type \(type)") }
            exchange.reply(200, json: (known?.settings ?? TypeSettings()).json(type, queue))
        }
        routes.on(.put, "/api/job-types/{type}", role: .admin) { [unowned self] exchange, _ in
            let (queue, type) = try QueueEndpoints.place(exchange)
            var (settings, alertURL) = try TypeSettings.parse(try exchange.jsonBody())
            // Who changes a limit does not mean that the workers are others now.
            if settings.isExternal == nil {
                settings.isExternal = try await store.figures(queue).types.first { $0.name == type }?.settings
                    .isExternal
            }
            if let alertURL { try checkAlert(alertURL) }
            try await store.list(queue)
            if try await store.run(JobScripts.settings, queue, ["type", type, settings.text]).first == "full" {
                throw Problem.impossible("type", "would be one too many: queue \(queue) has 1000 of them")
            }
            if let alertURL { _ = try await store.run(JobScripts.settings, queue, ["alert", type, alertURL]) }
            exchange.reply(200, json: settings.json(type, queue))
        }
        routes.on(.get, "/api/resources", role: .read) { [unowned self] exchange, _ in
            exchange.reply(200, json: try await resources(try QueueEndpoints.queue(exchange)))
        }
        routes.on(.put, "/api/resources", role: .admin) { [unowned self] exchange, _ in
            let queue = try QueueEndpoints.queue(exchange)
            let pools = try QueueEndpoints.pools(try exchange.jsonBody())
            try await store.list(queue)
            _ = try await store.run(JobScripts.settings, queue, ["pools"] + pools)
            exchange.reply(200, json: try await resources(queue))
        }
        routes.on(.get, "/api/sla", role: .read) { [unowned self] exchange, _ in try await promises(exchange) }
    }

    private static func queue(_ exchange: Exchange) throws(Problem) -> QueueName {
        try QueueName(exchange.queryItem("queue") ?? "default").required("queue")
    }

    private static func place(_ exchange: Exchange) throws(Problem) -> (QueueName, String) {
        let type = exchange.parameter(0)
        guard QueueName.isName(type) else { throw .field("type", "must be lower case letters, digits and _ . -") }
        return (try queue(exchange), type)
    }

    /// An alert is a job of kind `http`: what that would refuse is refused here. Empty: no alert any more.
    private func checkAlert(_ url: String) throws(Problem) {
        guard !url.isEmpty else { return }
        guard let runner = kinds["http"] else {
            throw .impossible("alertURL", "needs the kind http, which is not here")
        }
        do { try runner.check(.object([.init("url", .string(url))])) } catch {
            let detail = error.detail.hasPrefix("config.url") ? error.detail.dropFirst(10) : " " + error.detail[...]
            throw Problem(.impossible, "alertURL" + detail, field: "alertURL")
        }
    }

    // MARK: Resources

    private static func pools(_ body: JSONValue) throws(Problem) -> [String] {
        guard case .object(let members) = body, members.count <= 64 else {
            throw Problem(.invalidRequest, "the body must be an object of at most 64 pools and their units")
        }
        var words: [String] = []
        for member in members {
            guard QueueName.isName(member.key) else { throw .field(member.key, "is no name of a pool") }
            // As a GET shows it, too.
            let value = member.value["capacity"] ?? member.value
            guard case .int(let units) = value, (0...1_000_000_000).contains(units) else {
                throw .field(member.key, "must be an integer from 0 to 1000000000")
            }
            words += [member.key, String(units)]
        }
        return words
    }

    private func resources(_ queue: QueueName) async throws -> JSONValue {
        let base = store.keys.base(queue)
        let redis = store.context.redis
        let pools = try await redis.send(["HGETALL", base + "pools"], key: base, budgetUs: JobStore.budgetUs).words
        let used = try await redis.send(["HGETALL", base + "used"], key: base, budgetUs: JobStore.budgetUs).words
        var taken: [String: Int] = [:]
        for i in stride(from: 0, to: used.count - 1, by: 2) { taken[used[i]] = Int(used[i + 1]) }
        return .object(
            stride(from: 0, to: pools.count - 1, by: 2).map { i in
                .init(
                    pools[i],
                    .object([
                        .init("capacity", .int(Int(pools[i + 1]) ?? 0)), .init("used", .int(taken[pools[i]] ?? 0)),
                    ]))
            })
    }

    // MARK: Promises

    private func promises(_ exchange: Exchange) async throws {
        let queue = try QueueEndpoints.queue(exchange)
        let base = store.keys.base(queue)
        let redis = store.context.redis
        let promising = try await store.figures(queue).types.filter { $0.settings != TypeSettings() }
        let replies = await store.each(promising) { type in
            let words = try await redis.send(
                ["HGETALL", base + "sla:" + type.name], key: base, budgetUs: JobStore.budgetUs
            ).words
            var counts: [String: Int] = [:]
            for i in stride(from: 0, to: words.count - 1, by: 2) { counts[words[i]] = Int(words[i + 1]) }
            return type.settings.report(type.name, counts, waiting: type)
        }
        let types = try replies.map { try $0.get() }
        let reply = try await redis.send(
            ["XREVRANGE", base + "violations", "+", "-", "COUNT", "100"], key: base, budgetUs: JobStore.budgetUs)
        var violations: [JSONValue] = []
        if case .array(let entries) = reply {
            for entry in entries {
                guard case .array(let parts) = entry, let id = parts.first?.string, let fields = parts.last?.strings,
                    fields.count == 10
                else { continue }
                violations.append(
                    .object([
                        .init("at", JobRecord.time(Int(id.prefix { $0 != "-" }))), .init("type", .string(fields[1])),
                        .init("job", .string("\(queue.text)-\(fields[3])")), .init("what", .string(fields[5])),
                        .init("actualMs", .int(Int(fields[7]) ?? 0)), .init("promisedMs", .int(Int(fields[9]) ?? 0)),
                    ]))
            }
        }
        exchange.reply(
            200,
            json: .object([
                .init("queue", .string(queue.text)), .init("types", .array(types)),
                .init("violations", .array(violations)),
            ]))
    }
}

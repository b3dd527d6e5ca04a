import EventLoops
import JSON
import Redis
import Services
import Telemetry
import TestSupport

@testable import Inventory

/// One SKU's lanes on a real Redis under a given clock, and what they leave there.
final class LanesTrial: Sendable {
    private let lanes: OnLoop<StockLanes>
    /// The server that has the SKU.
    private let redis: RedisServer
    let prefix: String
    static let sku = SKU("A")!

    /// - Parameters:
    ///   - byScripts: whether every step goes to the script, or those that can to a transaction.
    ///   - cluster: nil: on one Redis.
    init(byScripts: Bool, on cluster: RedisCluster? = nil) async throws {
        let redis = try cluster.map { try $0.owner(ofSlot: try $0.slot(of: "{A}")) } ?? RedisServer.shared
        let prefix = redis.prefix()
        (self.redis, self.prefix) = (redis, prefix)
        let configuration = try RedisConfiguration(url: cluster?.url ?? redis.url)
        lanes = await OnLoop { loop in
            let process = ProcessContext(
                replicaID: "trial", prefix: prefix, redis: configuration, log: Logger(level: .error, format: .text),
                tokens: .none, proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: [:], loopCount: 1,
                configuredReplicas: 1)
            let client = RedisClient(loop: loop, configuration: configuration, scripts: InventoryScripts.all)
            client.start()
            let context = ServiceContext(loop: loop, redis: client, metrics: MetricRegistry(), process: process)
            let lanes = StockLanes(context: context, directory: LaneDirectory())
            lanes.usesScriptsOnly = byScripts
            lanes.start()
            return lanes
        }
        let isReady = try await lanes.run { await $0.context.redis.whenReady(timeoutUs: longestWaitUs) }
        guard isReady else { throw SetUpFailure("no Redis") }
        _ = try command(
            "HSET", prefix + "product:{A}", "id", "p", "minStockLevel", String(StockModel.minStockLevel),
            "maxStockLevel", String(StockModel.maxStockLevel))
        _ = try command("HSET", prefix + "stock:{A}", "product", "p", "version", "1")
    }

    deinit {
        let lanes = lanes
        Task { try? await lanes.run { $0.stop() } }
    }

    @discardableResult
    func command(_ words: String...) throws -> RESPConnection.Reply { try redis.connect().command(words) }

    /// How many steps went through transactions.
    func steps() async throws -> Int {
        try await lanes.run { lanes in
            lanes.context.metrics.counter("quartermaster_stock_steps_total", "Steps that transactions carried").value
        }
    }

    /// One step; what it is answered with, in the words of the model.
    func perform(_ operation: StockModel.Operation, nowMs: Int) async throws -> String {
        let step = LanesTrial.step(operation)
        return try await lanes.run { lanes in
            lanes.givenNowMs = nowMs
            return LanesTrial.words(await lanes.perform(step, on: LanesTrial.sku), operation)
        }
    }

    func trim(days: Int, nowMs: Int) async throws {
        try await lanes.run { lanes in
            lanes.givenNowMs = nowMs
            try await LedgerReader(lanes: lanes).trim(LanesTrial.sku, days: days)
        }
    }

    /// Takes all that is due, and dies with it.
    func takeDue(nowMs: Int) async throws -> [String] {
        try await lanes.run { lanes in
            lanes.givenNowMs = nowMs
            return try await LanesTrial.upkeep(lanes).take(part: StockKeys.part("A"))
        }
    }

    func round(nowMs: Int) async throws {
        try await lanes.run { lanes in
            lanes.givenNowMs = nowMs
            await LanesTrial.upkeep(lanes).round()
        }
    }

    private static func upkeep(_ lanes: StockLanes) -> StockUpkeep {
        let outbox = StockOutbox(lanes: lanes, escalateAfterMs: 3_600_000, onEvent: nil)
        return StockUpkeep(lanes: lanes, outbox: outbox, ledgerDays: 400)
    }

    private static func step(_ operation: StockModel.Operation) -> StockStep {
        func scripted(_ members: (String, JSONValue?)...) -> StockStep {
            let present = members.compactMap { name, value in value.map { JSONValue.Member(name, $0) } }
            return .scripted(json: JSONValue.object(present).text(), drains: false)
        }
        switch operation {
        case .reserve(let step): return .reserve(step)
        case .confirm(let step): return .confirm(step)
        case .cancel(let step): return .cancel(step)
        case .extend(let id, let ms):
            return scripted(("op", .string("extend")), ("id", .string(id)), ("holdMs", .int(ms)))
        case .resize(let id, let n, let kept):
            let kept = JSONValue.object(kept.map { JSONValue.Member($0.key, .int($0.value)) })
            return scripted(("op", .string("resize")), ("id", .string(id)), ("n", .int(n)), ("kept", kept))
        case .adjust(let id, let warehouse, let kind, let n, let expected, let force):
            return scripted(
                ("op", .string("adjust")), ("id", .string(id)), ("w", .string(warehouse)),
                ("type", .string(kind.rawValue)), ("n", .int(n)), ("expected", expected.map { .int($0) }),
                ("keepMs", .int(86_400_000)), ("force", force ? .bool(true) : nil))
        case .transfer(let id, let from, let to, let n):
            return scripted(
                ("op", .string("transfer")), ("id", .string(id)), ("from", .string(from)), ("to", .string(to)),
                ("n", .int(n)))
        case .move(let id, let status, let n):
            return scripted(
                ("op", .string("move")), ("id", .string(id)), ("to", .string(status.rawValue)),
                ("n", n.map { .int($0) }))
        }
    }

    private static func words(_ answer: StockAnswer, _ operation: StockModel.Operation) -> String {
        switch answer {
        case .held(let hold, _):
            let parts = hold.parts.map { "\($0.warehouse):\($0.quantity)" }.joined(separator: " ")
            return "held " + (hold.status == .waiting ? "waiting" : parts)
        case .existing(let hold, _): return "existing \(hold.status)"
        case .short(let available): return "short \(available)"
        case .done: return "done"
        case .same: return "same"
        case .state(let hold, _): return "state \(hold.status)"
        case .more(let than): return "more \(than)"
        case .missing: return "missing"
        case .past: return "past"
        case .far: return "far"
        case .lacking(let there): return "lacking \(there)"
        case .line, .unknown, .failed: return "\(answer)"
        case .other(let reply): return words(reply, operation)
        }
    }

    private static func words(_ reply: StockReply, _ operation: StockModel.Operation) -> String {
        switch (reply.word, operation) {
        case ("adjusted", _), ("existing", .adjust):
            guard let result = AdjustmentResult(reply.rest.first ?? "") else { return "\(reply)" }
            return "\(result.previous) to \(result.levels.quantity)"
        case ("existing", .transfer): return "existing \(reply.fields["status"] ?? "")"
        case ("state", .move): return "state \(reply.fields["status"] ?? "")"
        case ("state", _): return "state \(reply.fields["status"] ?? "")"
        case ("limit", _): return "limit"
        case ("below", _): return "below \(reply.int(0)) \(reply.int(1))"
        case ("replaced", _): return ("replaced " + reply.rest.joined(separator: " "))
        case ("expected", _), ("short", _), ("more", _), ("lacking", _): return "\(reply.word) \(reply.int(0))"
        default: return reply.word
        }
    }

    // MARK: What is there

    /// Everything that the model knows, as lines.
    func state(like model: StockModel) throws -> [String] {
        let redis = try redis.connect()
        var lines: [String] = []
        let stock = ProductStock(try redis("HGETALL", prefix + "stock:{A}").elements.map(\.text))
        for (warehouse, levels) in stock.byWarehouse.sorted(by: { $0.key < $1.key }) {
            lines.append("\(warehouse) \(levels.quantity) \(levels.reserved) \(levels.inTransit)")
        }
        for id in model.holds.keys.sorted() {
            lines.append("\(id) \(try redis("HGET", prefix + "reservation:{A}:" + id, "status").text)")
        }
        let expiry = try redis("ZRANGE", prefix + "expiry:{A}", "0", "-1", "WITHSCORES").elements.map(\.text)
        lines.append("expiry " + expiry.joined(separator: " "))
        lines.append(
            "backorder "
                + (try redis("ZRANGE", prefix + "backorder:{A}", "0", "-1").elements.map(\.text)).joined(
                    separator: " "))
        lines += try events(redis)
        return lines
    }

    static func state(of model: StockModel) -> [String] {
        var lines: [String] = []
        for (warehouse, c) in model.counters.sorted(by: { $0.key < $1.key }) {
            lines.append("\(warehouse) \(c.quantity) \(c.reserved) \(c.inTransit)")
        }
        for (id, hold) in model.holds.sorted(by: { $0.key < $1.key }) { lines.append("\(id) \(hold.status)") }
        let open = model.holds.filter { $0.value.status == .active || $0.value.status == .waiting }
        let expiry = open.sorted { ($0.value.expiresMs, $0.key) < ($1.value.expiresMs, $1.key) }
        lines.append("expiry " + expiry.flatMap { [$0.key, String($0.value.expiresMs)] }.joined(separator: " "))
        let waiting = open.filter { $0.value.status == .waiting }.sorted {
            (-$0.value.priority, $0.value.place) < (-$1.value.priority, $1.value.place)
        }
        lines.append("backorder " + waiting.map(\.key).joined(separator: " "))
        return lines + model.events.sorted()
    }

    /// What waits to be told; nobody takes it here.
    private func events(_ redis: RESPConnection) throws -> [String] {
        try redis("LRANGE", prefix + "outbox:{A}", "0", "-1").elements.compactMap { element -> String? in
            guard let json = element.text.withByteView({ try? JSONValue(parsing: $0) }),
                let warehouse = json["warehouse"]?.text
            else { return nil }
            let event = json["event"]?.text ?? ""
            return (event == "resolved" || event == "oversold" ? event : json["level"]?.text ?? "") + " " + warehouse
        }.sorted()
    }

    /// Counters as the ledger has them: the sum of all changes, and from the last checkpoint on.
    func ledgerTotals() throws -> (all: [String: [Int]], replayed: [String: [Int]]) {
        var all: [String: [Int]] = [:]
        var replayed: [String: [Int]] = [:]
        for entry in try command("XRANGE", prefix + "ledger:{A}", "-", "+").elements {
            let words = entry.elements[1].elements.map(\.text)
            let fields = StockReply(nowMs: 0, productID: "", word: "", rest: words).fields
            if fields["type"] == "checkpoint" {
                replayed = [:]
                for part in fields["after"]!.split(separator: " ") {
                    let halves = part.split(separator: "=")
                    replayed[String(halves[0])] = halves[1].split(separator: ",").map { Int($0)! }
                }
                continue
            }
            let change = fields["change"]!.split(separator: ",").map { Int($0)! }
            for i in 0..<3 {
                all[fields["warehouse"]!, default: [0, 0, 0]][i] += change[i]
                replayed[fields["warehouse"]!, default: [0, 0, 0]][i] += change[i]
            }
        }
        return (all, replayed)
    }
}

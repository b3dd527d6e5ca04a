import EventLoops
import JSON
import Redis
import Services
import Telemetry
import TestSupport

@testable import Inventory

/// A process's orders on a cluster, which dies where the test wants, and what is left in Redis.
final class OrdersTrial: Sendable {
    /// The process is dead: nothing that it does from here on has an effect.
    struct Dead: Error {}

    private final class Parts {
        let lanes: StockLanes
        let orders: ClusterOrders
        let upkeep: StockUpkeep

        init(_ lanes: StockLanes) {
            self.lanes = lanes
            orders = ClusterOrders(lanes: lanes)
            upkeep = StockUpkeep(
                lanes: lanes, outbox: StockOutbox(lanes: lanes, escalateAfterMs: 1000, onEvent: nil), ledgerDays: 400)
        }
    }

    private let parts: OnLoop<Parts>
    private let cluster: RedisCluster
    let prefix: String

    init(_ cluster: RedisCluster, prefix: String) async throws {
        (self.cluster, self.prefix) = (cluster, prefix)
        let configuration = try RedisConfiguration(url: cluster.url)
        parts = await OnLoop { loop in
            let process = ProcessContext(
                replicaID: "trial", prefix: prefix, redis: configuration, log: Logger(level: .error, format: .text),
                tokens: .none, proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: [:], loopCount: 1,
                configuredReplicas: 1)
            let client = RedisClient(loop: loop, configuration: configuration, scripts: InventoryScripts.all)
            client.start()
            let context = ServiceContext(loop: loop, redis: client, metrics: MetricRegistry(), process: process)
            let lanes = StockLanes(context: context, directory: LaneDirectory())
            lanes.start()
            return Parts(lanes)
        }
        let isReady = try await parts.run { await $0.lanes.context.redis.whenReady(timeoutUs: 10_000_000) }
        guard isReady else { throw SetUpFailure("no cluster") }
    }

    deinit {
        let parts = parts
        Task { try? await parts.run { $0.lanes.stop() } }
    }

    // MARK: What it does

    /// - Parameters:
    ///   - effects: after so many it dies; nil: it lives.
    ///   - nowMs: its clock; nil: Redis's.
    /// - Returns: what it was answered with, and whether it died before.
    func perform(
        _ step: OrderStep, _ id: String, _ skus: [String], dyingAfter effects: Int? = nil
    ) async throws -> String {
        try await parts.run { parts in
            var done = 0
            parts.orders.log.beforeEffect = {
                if let effects, done >= effects { throw Dead() }
                done += 1
            }
            defer { parts.orders.log.beforeEffect = nil }
            do {
                let answer = try await parts.orders.perform(step, id, skus.map { SKU($0)! }, actor: "test")
                return OrdersTrial.words(answer)
            } catch is Dead { return "dead" }
        }
    }

    /// Reads an order, has `meanwhile` happen, and then tries to lead it on from where it stood; whether that was done.
    func moves(
        _ id: String, to state: OrderRecord.State, meanwhile: @escaping @Sendable () async throws -> Void
    ) async throws -> Bool {
        try await parts.run { parts in
            let deadlineUs = parts.lanes.context.loop.nowUs + longestWaitUs
            let step = try await parts.orders.log.read(id, deadlineUs: deadlineUs)?.step ?? 0
            try await parts.orders.log.announce(id)
            try await meanwhile()
            return try await parts.orders.log.move(id, from: step, to: state, deadlineUs: deadlineUs).isDone
        }
    }

    /// One operation on a SKU, as a process sends it that is at an order; its word.
    func line(operation json: String, _ sku: String) async throws -> String {
        try await parts.run { parts in
            let operation = try json.withByteView { try JSONValue(parsing: $0) }
            return try await parts.lanes.perform(operation, on: SKU(sku)!).word
        }
    }

    /// Looks after what was left, as if `ms` had passed.
    func lookAfter(inMs ms: Int) async throws {
        try await parts.run { parts in
            parts.lanes.givenNowMs = try await parts.lanes.nowMs(of: "x") + ms
            await parts.upkeep.round()
            parts.lanes.givenNowMs = nil
        }
    }

    /// Orders that are taken by somebody, or due.
    func open() async throws -> [String] {
        var names: [String] = []
        for part in 0..<16 {
            for key in ["\(prefix)order-due:{\(part)}", "\(prefix)order-due:{\(part)}:taken"] {
                names += try cluster.redis("ZRANGE", key, "0", "-1").elements.map(\.text)
            }
        }
        return names
    }

    private static func words(_ answer: OrderAnswer) -> String {
        switch answer {
        case .held: "held"
        case .existing: "existing"
        case .done(let whole): "done \(whole.status)"
        case .same(let whole): "same \(whole.status)"
        case .state(let whole): "state \(whole.status)"
        case .short(let place, let available): "short \(place) \(available)"
        case .more(let place, let than): "more \(place) \(than)"
        case .unknown(let place): "unknown \(place)"
        case .missing: "missing"
        case .past: "past"
        case .far: "far"
        case .lacking: "lacking"
        case .other: "other"
        }
    }

    // MARK: What is there

    func stock(_ skus: [String], _ quantity: Int) throws {
        for sku in skus {
            try cluster.redis("HSET", "\(prefix)product:{\(sku)}", "id", sku, "minStockLevel", "0")
            try cluster.redis(
                "HSET", "\(prefix)stock:{\(sku)}", "product", sku, "version", "1", "warehouse-1:quantity",
                String(quantity))
        }
    }

    func state(_ id: String) throws -> String { try cluster.redis("HGET", "\(prefix)order:{\(id)}", "state").text }

    /// `<quantity> <reserved> <status of the hold>`; what is reserved must be what the active holds have, what the ledger
    /// says must be what there is.
    func line(_ sku: String, _ id: String) throws -> String {
        let connection = try cluster.connect(forKey: "{\(sku)}")
        let counters = try connection(
            "HMGET", "\(prefix)stock:{\(sku)}", "warehouse-1:quantity", "warehouse-1:reserved"
        ).elements.map { Int($0.text) ?? 0 }
        var held = 0
        for hold in try connection("ZRANGE", "\(prefix)expiry:{\(sku)}", "0", "-1").elements.map(\.text) {
            let fields = try connection("HMGET", "\(prefix)reservation:{\(sku)}:\(hold)", "status", "allocation")
                .elements.map(\.text)
            if fields[0] == "active" { held += Hold.parts(fields[1]).reduce(0) { $0 + $1.quantity } }
        }
        guard held == counters[1] else { throw SetUpFailure("\(sku): \(counters[1]) reserved, \(held) held") }
        let status = try connection("HGET", "\(prefix)reservation:{\(sku)}:\(id)", "status").text
        return "\(counters[0]) \(counters[1]) \(status)"
    }
}

import EventLoops
import Redis
import Services
import Telemetry
import TestSupport
import Testing

@testable import Inventory

/// The loop that confirms may know of another master, or of another place of a slot, than the one that wrote.
struct DurableEffectTests {
    private static let cluster = Result { try RedisCluster(masters: 3, replicas: 1) }
    /// Of the first master. Each test moves slots of its own.
    private static let skus = ClusterFixture.skus(21).enumerated().filter { $0.offset % 3 == 0 }.map {
        SKU($0.element)!
    }
    private static let suffix = (1000...).lazy.map { String(repeating: "0", count: 16) + String($0) }
        .first { RedisSlot.of($0) / 5461 == 0 }!

    private func context(_ url: String, _ prefix: String) async throws -> OnLoop<ServiceContext> {
        let configuration = try RedisConfiguration(url: url)
        let context = await OnLoop { loop in
            let process = ProcessContext(
                replicaID: "trial", prefix: prefix, redis: configuration, log: Logger(level: .error, format: .text),
                tokens: .none, proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: [:], loopCount: 1,
                configuredReplicas: 1)
            let client = RedisClient(loop: loop, configuration: configuration, scripts: [])
            client.start()
            return ServiceContext(loop: loop, redis: client, metrics: MetricRegistry(), process: process)
        }
        let isReady = try await context.run { await $0.redis.whenReady(timeoutUs: longestWaitUs) }
        guard isReady else { throw SetUpFailure("no connection to \(url)") }
        return context
    }

    /// How a promise ends. What happens between it and its confirmation keeps the loop busy, so it hears of none of it.
    private func outcome(
        _ context: OnLoop<ServiceContext>, _ effects: [DurableEffect], writtenBy servers: [String] = [],
        meanwhile: @escaping @Sendable () throws -> Void = {}
    ) async throws -> String {
        try await context.run { context in
            let promise = try await Durability.replicated.prepare(effects, in: context)
            try meanwhile()
            do {
                try await promise.confirm(writtenBy: servers)
                return "safe"
            } catch let problem as Problem {
                guard problem.kind.status == 503, problem.retryAfterS != nil else { throw problem }
                return problem.detail.contains("master changed") ? "other master" : "late"
            }
        }
    }

    private static func hold(_ keys: StockKeys, _ sku: SKU, on server: RedisServer) throws {
        try server.redis("HSET", keys.reservation(sku, suffix), "status", "active")
    }

    private static func order(_ keys: StockKeys, _ state: String, on server: RedisServer) throws {
        try server.redis("HSET", keys.orderReservation(suffix), "state", state)
    }

    @Test func eachSlotIsAskedForWhereItIs() async throws {
        let cluster = try DurableEffectTests.cluster.get()
        let prefix = cluster.masters[0].prefix()
        let keys = StockKeys(prefix: prefix)
        let context = try await context(cluster.url, prefix)
        let (stays, goes) = (DurableEffectTests.skus[0], DurableEffectTests.skus[1])
        let effects = [stays, goes].map { keys.durable($0, DurableEffectTests.suffix) }
        let first = try await outcome(context, effects) {
            try DurableEffectTests.hold(keys, stays, on: cluster.masters[0])
            try cluster.move(slot: RedisSlot.of(goes.text), to: cluster.masters[1])
            try DurableEffectTests.hold(keys, goes, on: cluster.masters[1])
        }
        #expect(first == "other master")
        #expect(try await eventually { try await outcome(context, effects) == "safe" })
    }

    @Test func nothingIsPromisedOfASlotOnTheMove() async throws {
        let cluster = try DurableEffectTests.cluster.get()
        let prefix = cluster.masters[0].prefix()
        let keys = StockKeys(prefix: prefix)
        let context = try await context(cluster.url, prefix)
        let sku = DurableEffectTests.skus[2]
        let effects = [keys.durable(sku, DurableEffectTests.suffix)]
        try DurableEffectTests.hold(keys, sku, on: cluster.masters[0])
        #expect(try await outcome(context, effects) == "safe")
        // The hold and the marker are still there, and another of the SKU's keys may be elsewhere already.
        try cluster.beginMove(ofSlot: RedisSlot.of(sku.text), to: cluster.masters[1])
        #expect(try await outcome(context, effects) == "late")
        try cluster.moveKeys(ofSlot: RedisSlot.of(sku.text), to: cluster.masters[1])
        try cluster.endMove(ofSlot: RedisSlot.of(sku.text), to: cluster.masters[1])
        #expect(try await eventually { try await outcome(context, effects) == "safe" })
    }

    @Test func everyLineOfAnOrderHasAPromise() async throws {
        let cluster = try DurableEffectTests.cluster.get()
        let prefix = cluster.masters[0].prefix()
        let keys = StockKeys(prefix: prefix)
        let context = try await context(cluster.url, prefix)
        let skus = Array(DurableEffectTests.skus[3...4])
        let effects = keys.durable(skus, DurableEffectTests.suffix, isCluster: true)
        // At a node that has none of the order's keys before.
        let moved = try await outcome(context, effects) {
            try DurableEffectTests.order(keys, "held", on: cluster.masters[0])
            try DurableEffectTests.hold(keys, skus[0], on: cluster.masters[0])
            try cluster.move(slot: RedisSlot.of(skus[1].text), to: cluster.masters[2])
            try DurableEffectTests.hold(keys, skus[1], on: cluster.masters[2])
        }
        #expect(moved == "other master")
        #expect(try await eventually { try await outcome(context, effects) == "safe" })
        try DurableEffectTests.order(keys, "holding", on: cluster.masters[0])
        #expect(try await outcome(context, effects) == "other master")
        try DurableEffectTests.order(keys, "held", on: cluster.masters[0])
        try cluster.masters[2].redis("DEL", keys.reservation(skus[1], DurableEffectTests.suffix))
        #expect(try await outcome(context, effects) == "other master")
    }

    @Test func whatTheOldMasterWasToldIsNotTheNewOnes() async throws {
        func server(of primary: RedisServer? = nil) throws -> RedisServer {
            let role = primary.map { ["--replicaof", "127.0.0.1", String($0.port!)] } ?? []
            let arguments = role + ["--repl-diskless-sync-delay", "0"]
            return try RedisServer(options: .init(arguments: arguments, listensOnTCP: true))
        }
        func hasReplica(_ server: RedisServer) async throws -> Bool {
            try await eventually { try server.redis("INFO", "replication").contains("state=online") }
        }
        let old = try server()
        let new = try server(of: old)
        let last = try server(of: new)
        #expect(try await hasReplica(old))
        #expect(try await hasReplica(new))
        // The old one was away and does not know it yet; a loop that does not either still writes there.
        try new.redis("REPLICAOF", "NO", "ONE")
        let keys = StockKeys(prefix: new.prefix())
        let context = try await context(new.url, keys.prefix)
        let sku = SKU("A")!
        let effects = [keys.durable(sku, DurableEffectTests.suffix)]
        let order = keys.durable([sku], DurableEffectTests.suffix, isCluster: false)
        #expect(
            try await outcome(context, effects) { try DurableEffectTests.hold(keys, sku, on: old) } == "other master")
        #expect(
            try await outcome(context, order) {
                try old.redis("HSET", keys.orderReservation(DurableEffectTests.suffix), "skus", "A")
            } == "other master")
        #expect(try await outcome(context, effects) { try DurableEffectTests.hold(keys, sku, on: new) } == "safe")
        // One that was undone before it came is none.
        try new.redis("HSET", keys.reservation(sku, DurableEffectTests.suffix), "status", "void")
        #expect(try await outcome(context, effects) == "other master")
        // What has no proof is the word of the server that wrote it.
        let queue = [DurableEffect(marker: keys.prefix + "{q}:durable", never: keys.prefix + "{q}:whole", proof: nil)]
        func runID(_ server: RedisServer) throws -> String {
            let lines = try server.redis("INFO", "server").split(whereSeparator: \.isNewline)
            return String(lines.first { $0.hasPrefix("run_id:") }!.dropFirst(7))
        }
        #expect(try await outcome(context, queue, writtenBy: [try runID(old)]) == "other master")
        #expect(try await outcome(context, queue, writtenBy: [try runID(new), ""]) == "other master")
        #expect(try await outcome(context, queue) == "other master")
        #expect(try await outcome(context, queue, writtenBy: [try runID(new)]) == "safe")
        withExtendedLifetime(last) {}
    }
}

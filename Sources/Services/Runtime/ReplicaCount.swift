import Redis
import Synchronization

/// How many replicas are alive: the last count heard from Redis, or the configured number, or one.
public final class ReplicaCount: Sendable {
    private let configured: Int?
    private let heard = Mutex<Int?>(nil)

    init(configured: Int?) { self.configured = configured }

    public var value: Int { heard.withLock { $0 } ?? configured ?? 1 }

    func hear(_ count: Int) { heard.withLock { $0 = max(1, count) } }
}

/// Keeps this process in the set of live replicas, `<prefix>replicas` (member: replica id, score: last sign of life in
/// ms by Redis's clock; members silent for `aliveMs` are dropped by whoever calls next).
public final class Presence {
    public static let script = Script(name: "presence", source: PackageResources.presence_lua)

    private static let intervalUs: Int64 = 5_000_000
    private static let aliveMs = 15_000

    private let context: ServiceContext
    private var isStopped = false

    public init(context: ServiceContext) { self.context = context }

    /// Announces this replica now and every five seconds.
    public func start() {
        context.loop.spawn { [self] in
            while !isStopped {
                await announce()
                await context.loop.sleep(us: Presence.intervalUs)
            }
        }
    }

    /// Leaves the set.
    public func stop() async {
        isStopped = true
        _ = try? await context.redis.send(["ZREM", key, context.process.replicaID], key: key, budgetUs: 100_000)
    }

    private var key: String { context.process.prefix + "replicas" }

    private func announce() async {
        let reply = try? await context.redis.run(
            Presence.script, keys: [key], arguments: [context.process.replicaID, String(Presence.aliveMs)],
            budgetUs: 1_000_000)
        if let count = reply?.int { context.process.replicas.hear(count) }
    }
}

import EventLoops
import Redis
import Services

/// Keeps every loop's warehouses up to date: the first loop hears of changes, and asks once a second, since a publish may
/// be lost; it reads the list and hands it to all loops.
final class WarehouseFeed {
    static let snapshots = Broadcasts.Topic<WarehouseSet>("stock.warehouses")
    private static let pollUs: Int64 = 1_000_000

    private let store: WarehouseStore
    private let products: ProductStore
    /// When those that are being closed were seen first, on the loop's clock.
    private var closing: [String: Int64] = [:]
    /// By then every replica has heard of it, and what it had begun before has come to its end.
    private static let closedUs: Int64 = 10_000_000
    private let subscriber: RedisSubscriber
    private var revision = -1
    private var isStopped = false

    init(store: WarehouseStore, products: ProductStore) {
        self.store = store
        self.products = products
        subscriber = RedisSubscriber(of: store.context.redis)
    }

    func start() async throws {
        publish(try await store.read())
        subscriber.subscribe(store.keys.warehouseChannel) { [weak self] _ in self?.readSoon() }
        subscriber.onResubscribed = { [weak self] in self?.readSoon() }
        subscriber.start()
        store.context.loop.spawn { [self] in
            while !isStopped {
                await store.context.loop.sleep(us: WarehouseFeed.pollUs)
                if let now = try? await store.revision(), now != revision { readSoon() }
                try? await settleClosing()
            }
        }
    }

    func stop() {
        isStopped = true
        subscriber.close()
    }

    private func readSoon() {
        store.context.loop.spawn { [self] in
            if let set = try? await store.read() { publish(set) }
        }
    }

    /// Drops those that were closed long enough ago. One that somebody has put stock into meanwhile is opened again.
    private func settleClosing() async throws {
        let nowUs = store.context.loop.nowUs
        for (id, sinceUs) in closing where nowUs - sinceUs >= WarehouseFeed.closedUs {
            if let sku = try await products.firstWithStock(in: id) {
                store.context.log.warning(
                    "a warehouse was deleted while stock was put into it; it is there again",
                    ["warehouse": .string(id), "sku": .string(sku.text)])
                try await store.open(id)
            } else {
                try await store.drop(id)
            }
        }
    }

    private func publish(_ set: WarehouseSet) {
        guard set.revision != revision else { return }
        if set.revision < revision {
            store.context.log.warning(
                "the list of warehouses was set back: Redis has lost changes",
                ["revision": .int(set.revision), "before": .int(revision)])
        }
        revision = set.revision
        let nowUs = store.context.loop.nowUs
        closing = Dictionary(set.closing.map { ($0, closing[$0] ?? nowUs) }) { $1 }
        store.context.process.broadcasts.send(set, to: WarehouseFeed.snapshots)
    }
}

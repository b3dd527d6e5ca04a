import EventLoops
import Redis
import Services

/// Keeps every loop's warehouses up to date: the first loop hears of changes, and asks once a second, since a publish may
/// be lost; it reads the list and hands it to all loops.
final class WarehouseFeed {
    static let snapshots = Broadcasts.Topic<WarehouseSet>("stock.warehouses")
    private static let pollUs: Int64 = 1_000_000

    private let store: WarehouseStore
    private let subscriber: RedisSubscriber
    private var revision = -1
    private var isStopped = false

    init(store: WarehouseStore) {
        self.store = store
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

    private func publish(_ set: WarehouseSet) {
        guard set.revision != revision else { return }
        revision = set.revision
        store.context.process.broadcasts.send(set, to: WarehouseFeed.snapshots)
    }
}

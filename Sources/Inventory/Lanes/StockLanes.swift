import EventLoops
import JSON
import Redis
import Services

/// One loop's way to change stock. Whatever changes one SKU goes through here, so that one process never meets itself.
final class StockLanes {
    let context: ServiceContext
    let keys: StockKeys
    /// How long an operation may take altogether.
    static let budgetUs: Int64 = 5_000_000
    /// Called when a SKU has events to be told.
    var onOutbox: ((SKU) -> Void)?

    init(context: ServiceContext) {
        self.context = context
        keys = StockKeys(prefix: context.process.prefix)
    }

    /// Does one operation (`op` and its members, as in `lua/inventory`) on a SKU.
    /// - Parameter drains: it only gives back, so it goes on when Redis has no memory left.
    func perform(_ operation: JSONValue, on sku: SKU, drains: Bool = false) async throws -> StockReply {
        try await perform([operation], on: sku, drains: drains)[0]
    }

    /// Does operations on one SKU in one step, in order.
    func perform(_ operations: [JSONValue], on sku: SKU, drains: Bool = false) async throws -> [StockReply] {
        let script = drains ? InventoryScripts.drain : InventoryScripts.commit
        while true {
            let reply = try await context.redis.run(
                script, keys: [keys.stock(sku)], arguments: ["", ""] + operations.map { $0.text() },
                budgetUs: StockLanes.budgetUs)
            guard let commit = try CommitReply(reply) else { continue }
            if commit.outbox > 0 { onOutbox?(sku) }
            return commit.answers
        }
    }
}

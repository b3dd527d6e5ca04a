import Services

/// Reads holds. One whose time has passed is released before anybody hears of it.
final class HoldReader {
    private let lanes: StockLanes
    private static let budgetUs: Int64 = 2_000_000

    init(lanes: StockLanes) { self.lanes = lanes }

    /// A hold and the id of its product; nil when there is none.
    func read(_ sku: SKU, _ suffix: String) async throws -> (Hold, productID: String)? {
        guard var (hold, productID) = try await find(sku, suffix) else { return nil }
        let isOpen = hold.status == .active || hold.status == .waiting
        if isOpen, hold.expiresMs <= (try await lanes.nowMs(of: lanes.keys.stock(sku))) {
            _ = try await lanes.perform([], on: sku)
            guard let again = try await find(sku, suffix) else { return nil }
            (hold, productID) = again
        }
        return (hold, productID)
    }

    /// The ids of the reservations that may have been made for an order.
    func ids(ofOrder order: String) async throws -> [StockID] {
        let key = lanes.keys.order(order)
        let reply = try await lanes.context.redis.send(["SMEMBERS", key], key: key, budgetUs: HoldReader.budgetUs)
        return (reply.strings ?? []).compactMap { StockID($0) }
    }

    /// Those of them that are there, oldest first.
    func holds(_ ids: [StockID], ofOrder order: String) async throws -> [(SKU, Hold, productID: String)] {
        let found = try await inParts(ids, on: lanes.context.loop) { [self] id -> (SKU, Hold, productID: String)? in
            guard let sku = id.sku, let (hold, productID) = try await read(sku, id.suffix), hold.orderID == order else {
                return nil
            }
            return (sku, hold, productID)
        }
        return found.compactMap { $0 }.sorted { ($0.1.createdMs, $0.1.suffix) < ($1.1.createdMs, $1.1.suffix) }
    }

    private func find(_ sku: SKU, _ suffix: String) async throws -> (Hold, productID: String)? {
        let (redis, keys) = (lanes.context.redis, lanes.keys)
        let key = keys.reservation(sku, suffix)
        let reply = try await redis.send(["HGETALL", key], key: key, budgetUs: HoldReader.budgetUs)
        var fields: [String: String] = [:]
        let words = reply.strings ?? []
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        guard let hold = Hold(suffix: suffix, fields), hold.status != .void else { return nil }
        let stock = keys.stock(sku)
        let product = try await redis.send(["HGET", stock, "product"], key: stock, budgetUs: HoldReader.budgetUs)
        return (hold, product.string ?? "")
    }
}

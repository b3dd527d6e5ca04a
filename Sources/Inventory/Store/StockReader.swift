import Redis
import Services

/// Reads counters. Holds whose time has passed are released first: nobody hears of stock that they still held.
final class StockReader {
    private let lanes: StockLanes
    private static let budgetUs: Int64 = 2_000_000

    init(lanes: StockLanes) { self.lanes = lanes }

    /// nil where there is no such product.
    func read(_ sku: SKU) async throws -> ProductStock? {
        var stock = try await find(sku)
        if let next = stock.nextExpiryMs, next <= (try await lanes.nowMs(of: lanes.keys.stock(sku))) {
            _ = try await lanes.perform([], on: sku)
            stock = try await find(sku)
        }
        return stock.productID.isEmpty ? nil : stock
    }

    private func find(_ sku: SKU) async throws -> ProductStock {
        let key = lanes.keys.stock(sku)
        let reply = try await lanes.context.redis.send(["HGETALL", key], key: key, budgetUs: StockReader.budgetUs)
        return ProductStock(reply.strings ?? [])
    }
}

extension StockLanes {
    /// Redis's clock, ms since 1970; the given one where there is one.
    /// - Parameter key: on a cluster, the clock is that of the key's node.
    func nowMs(of key: String) async throws -> Int {
        if let givenNowMs { return givenNowMs }
        let words = try await context.redis.send(["TIME"], key: key, budgetUs: 2_000_000).strings ?? []
        guard words.count == 2, let seconds = Int(words[0]), let us = Int(words[1]) else {
            throw RedisError.unexpectedReply("TIME")
        }
        return seconds * 1000 + us / 1000
    }
}

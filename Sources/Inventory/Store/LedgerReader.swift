import EventLoops
import Redis

/// Reads ledgers.
final class LedgerReader {
    private let lanes: StockLanes
    private static let budgetUs: Int64 = 2_000_000
    private static let pageSize = 1000

    init(lanes: StockLanes) { self.lanes = lanes }

    /// A page, newest first.
    /// - Parameters:
    ///   - from: the oldest, ms since 1970; nil: from the beginning.
    ///   - to: the newest, an id (`(` in front leaves it out), or `+`.
    func page(_ sku: SKU, from: Int?, to: String, limit: Int) async throws -> [LedgerEntry] {
        let oldest = from.map { String($0) } ?? "-"
        return try await entries(["XREVRANGE", lanes.keys.ledger(sku), to, oldest, "COUNT", String(limit)], sku)
    }

    /// Counters as they follow from the ledger: the last checkpoint and all changes since, or all there are.
    func replay(_ sku: SKU) async throws -> [String: StockLevels] {
        var totals: [String: StockLevels] = [:]
        var end = "+"
        while true {
            let entries = try await page(sku, from: nil, to: end, limit: LedgerReader.pageSize)
            for entry in entries {
                if entry.type == "checkpoint" {
                    for (warehouse, levels) in entry.checkpoint {
                        totals[warehouse] = totals[warehouse, default: StockLevels()] + levels
                    }
                    return totals
                }
                totals[entry.warehouse] = totals[entry.warehouse, default: StockLevels()] + entry.change
            }
            guard entries.count == LedgerReader.pageSize, let last = entries.last else { return totals }
            end = "(" + last.id
        }
    }

    /// Calls `body` with every entry since a time, oldest first.
    func forEach(_ sku: SKU, sinceMs: Int, _ body: (LedgerEntry) -> Void) async throws {
        var start = String(sinceMs)
        while true {
            let entries = try await entries(
                ["XRANGE", lanes.keys.ledger(sku), start, "+", "COUNT", String(LedgerReader.pageSize)], sku)
            for entry in entries { body(entry) }
            guard entries.count == LedgerReader.pageSize, let last = entries.last else { return }
            start = "(" + last.id
        }
    }

    /// Forgets what is older than `days`, up to the last checkpoint before that, from which replay goes on.
    func trim(_ sku: SKU, days: Int) async throws {
        let redis = lanes.context.redis
        let list = lanes.keys.checkpoints(sku)
        let oldestMs = try await lanes.nowMs(of: list) - days * 86_400_000
        while true {
            let reply = try await redis.send(["LRANGE", list, "0", "1"], key: list, budgetUs: LedgerReader.budgetUs)
            guard let ids = reply.strings, let base = ids.first, let baseMs = Int(base.prefix { $0 != "-" }),
                baseMs < oldestMs
            else { return }
            let ledger = lanes.keys.ledger(sku)
            _ = try await redis.send(["XTRIM", ledger, "MINID", base], key: ledger, budgetUs: LedgerReader.budgetUs)
            // A later one that is old enough, too, is the better beginning.
            guard ids.count == 2, let nextMs = Int(ids[1].prefix { $0 != "-" }), nextMs < oldestMs else { return }
            _ = try await redis.send(["LREM", list, "1", base], key: list, budgetUs: LedgerReader.budgetUs)
        }
    }

    private func entries(_ words: [String], _ sku: SKU) async throws -> [LedgerEntry] {
        let key = lanes.keys.ledger(sku)
        let reply = try await lanes.context.redis.send(words, key: key, budgetUs: LedgerReader.budgetUs)
        guard case .array(let elements) = reply else { return [] }
        var slices = WorkSlices(lanes.context.loop)
        var entries: [LedgerEntry] = []
        for element in elements {
            guard case .array(let parts) = element, let id = parts.first?.string, let words = parts.last?.strings,
                let entry = LedgerEntry(id: id, words)
            else { throw RedisError.unexpectedReply("ledger of \(sku)") }
            entries.append(entry)
            await slices.pauseIfLong()
        }
        return entries
    }
}

import EventLoops
import Redis
import Services

/// Does what is due in every SKU: releases holds whose time has passed, has events told that a dead process left behind.
/// Every replica does it; there is no leader. A SKU is announced before whatever is due is written, and taken by one process
/// at a time.
final class StockUpkeep {
    private let lanes: StockLanes
    private let outbox: StockOutbox
    private var isStopped = false
    private static let pauseUs: Int64 = 1_000_000
    private static let takenMs = 30_000
    private static let mostAtOnce = 50
    private static let budgetUs: Int64 = 2_000_000

    /// How long changes are kept.
    private let ledgerDays: Int
    private let ledger: LedgerReader

    init(lanes: StockLanes, outbox: StockOutbox, ledgerDays: Int) {
        self.lanes = lanes
        self.ledgerDays = ledgerDays
        ledger = LedgerReader(lanes: lanes)
        self.outbox = outbox
    }

    func start() {
        lanes.context.loop.spawn { [self] in
            while !isStopped {
                await lanes.context.loop.sleep(us: StockUpkeep.pauseUs)
                await round()
                try? await outbox.escalate()
            }
        }
    }

    func stop() { isStopped = true }

    /// Goes once through all that is due.
    func round() async {
        for part in 0..<StockKeys.dueParts where !isStopped {
            var more = true
            while more, !isStopped {
                // Redis away: the next round finds the same.
                guard let skus = try? await take(part) else { return }
                for sku in skus { await sweep(sku, part) }
                more = skus.count == StockUpkeep.mostAtOnce
            }
        }
    }

    private func take(_ part: Int) async throws -> [SKU] {
        let keys = [lanes.keys.due(part: part), lanes.keys.duringSweep(part: part)]
        let reply = try await lanes.context.redis.run(
            InventoryScripts.due, keys: keys,
            arguments: [
                lanes.givenNowMs.map { String($0) } ?? "", String(StockUpkeep.takenMs), String(StockUpkeep.mostAtOnce),
            ], budgetUs: StockUpkeep.budgetUs)
        return (reply.strings ?? []).compactMap { SKU($0) }
    }

    /// The version changes even when nothing has lapsed: a hold that was read for before this sweep is judged, and
    /// announced, anew. So what is announced from here on is not lost with the entry that was taken.
    private func sweep(_ sku: SKU, _ part: Int) async {
        guard case .other(let reply) = await lanes.perform(.sweep, on: sku) else { return }
        let isTold = await outbox.drain(sku)
        do {
            try await ledger.trim(sku, days: ledgerDays)
            let redis = lanes.context.redis
            let due = lanes.keys.due(part: part)
            if let next = reply.rest.first {
                _ = try await redis.send(["ZADD", due, "LT", next, sku.text], key: due, budgetUs: StockUpkeep.budgetUs)
            }
            // What could not be told comes back with the SKU, from those that are taken.
            guard isTold else { return }
            let taken = lanes.keys.duringSweep(part: part)
            _ = try await redis.send(["ZREM", taken, sku.text], key: taken, budgetUs: StockUpkeep.budgetUs)
        } catch {
            // It comes back from those that are taken.
            return
        }
    }
}

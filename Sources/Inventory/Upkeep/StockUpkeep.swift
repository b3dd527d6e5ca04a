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
    private static let ordersTakenMs = 10_000
    private static let mostAtOnce = 50
    private static let budgetUs: Int64 = 2_000_000

    /// How long changes are kept.
    private let ledgerDays: Int
    private let ledger: LedgerReader
    /// On a cluster.
    private let orders: ClusterOrders?

    init(lanes: StockLanes, outbox: StockOutbox, ledgerDays: Int) {
        self.lanes = lanes
        orders = lanes.context.redis.isCluster ? ClusterOrders(lanes: lanes) : nil
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
        let parts = Array(0..<StockKeys.dueParts)
        guard let orders else {
            for part in parts { if await !sweep(part) { return } }
            return
        }
        // What lies at a node that is away keeps nothing else waiting.
        _ = await together(parts, on: lanes.context.loop) { [self] part in
            let isSwept = await sweep(part)
            return await finishOrders(part, orders) && isSwept
        }
    }

    /// False when Redis is away: the next round finds the same.
    private func sweep(_ part: Int) async -> Bool {
        var more = true
        while more, !isStopped {
            let keys = [lanes.keys.due(part: part), lanes.keys.duringSweep(part: part)]
            guard let names = try? await take(keys, forMs: StockUpkeep.takenMs) else { return false }
            let skus = names.compactMap { SKU(code: $0) }
            if orders == nil {
                for sku in skus { await sweep(sku, part) }
            } else {
                _ = await together(skus, on: lanes.context.loop) { [self] sku in await sweep(sku, part) }
            }
            more = names.count == StockUpkeep.mostAtOnce
        }
        return true
    }

    /// Finishes or undoes orders over SKUs in several slots that somebody has left.
    private func finishOrders(_ part: Int, _ orders: ClusterOrders) async -> Bool {
        let keys = [lanes.keys.orderDue(part: part), lanes.keys.ordersTaken(part: part)]
        var more = true
        while more, !isStopped {
            guard let names = try? await take(keys, forMs: StockUpkeep.ordersTakenMs) else { return false }
            _ = await together(names, on: lanes.context.loop) { [lanes] suffix in
                do {
                    try await orders.finish(suffix)
                    let words = ["ZREM", keys[1], suffix]
                    _ = try await lanes.context.redis.send(words, key: keys[1], budgetUs: StockUpkeep.budgetUs)
                } catch {
                    // It comes back from those that are taken.
                    lanes.context.log.warning(
                        "an order is finished later", ["order": .string(suffix), "error": .string("\(error)")])
                }
            }
            more = names.count == StockUpkeep.mostAtOnce
        }
        return true
    }

    private func take(_ keys: [String], forMs ms: Int) async throws -> [String] {
        let reply = try await lanes.context.redis.run(
            InventoryScripts.due, keys: keys + [lanes.keys.guardOf(keys[0])],
            arguments: [lanes.givenNowMs.map { String($0) } ?? "", String(ms), String(StockUpkeep.mostAtOnce)],
            budgetUs: StockUpkeep.budgetUs)
        return reply.strings ?? []
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
                _ = try await redis.send(["ZADD", due, "LT", next, sku.code], key: due, budgetUs: StockUpkeep.budgetUs)
            }
            // What could not be told comes back with the SKU, from those that are taken.
            guard isTold else { return }
            let taken = lanes.keys.duringSweep(part: part)
            _ = try await redis.send(["ZREM", taken, sku.code], key: taken, budgetUs: StockUpkeep.budgetUs)
        } catch {
            // It comes back from those that are taken.
            return
        }
    }
}

import EventLoops
import Redis
import Services

/// Does what is due in every SKU: releases holds whose time has passed, has events told that a dead process left behind.
/// Every replica does it; there is no leader. A SKU is announced before whatever is due is written, and taken by one process
/// at a time. A replica looks when something is due that it knows of; for what others have left it looks every few seconds.
final class StockUpkeep {
    private let lanes: StockLanes
    private let outbox: StockOutbox
    private var isStopped = false
    /// How often a replica looks whether anything that it knows of is due; that asks nobody.
    private static let tickUs: Int64 = 250_000
    /// How long it waits until it asks Redis again: longer and longer while nothing is due.
    private static let shortestPauseUs: Int64 = 1_000_000
    private static let longestPauseUs: Int64 = 4_000_000
    /// For how long a SKU is taken: shorter than anybody would want to wait for one whose process died. Should it take
    /// longer, another process does the same, which does no harm.
    static let takenMs = 2000
    private static let ordersTakenMs = 10_000
    private static let mostAtOnce = 50
    private static let budgetUs: Int64 = 2_000_000

    /// How long changes are kept.
    private let ledgerDays: Int
    private let ledger: LedgerReader
    /// On a cluster.
    private let orders: ClusterOrders?
    private var pauseUs = StockUpkeep.shortestPauseUs
    /// On the loop's clock: when Redis was asked last, and Redis's clock (ms) then.
    private var askedUs: Int64 = 0
    private var askedMs = 0
    /// When something is due as far as it is known here, by Redis's clock (ms).
    private var dueMs = Int.max

    init(lanes: StockLanes, outbox: StockOutbox, ledgerDays: Int) {
        self.lanes = lanes
        orders = lanes.context.redis.isCluster ? ClusterOrders(lanes: lanes) : nil
        self.ledgerDays = ledgerDays
        ledger = LedgerReader(lanes: lanes)
        self.outbox = outbox
    }

    func start() {
        let loop = lanes.context.loop
        loop.spawn { [self] in
            while !isStopped {
                await loop.sleep(us: StockUpkeep.tickUs)
                dueMs = min(dueMs, lanes.takeNotedDue())
                let nowMs = askedMs + Int((loop.nowUs - askedUs) / 1000)
                guard dueMs <= nowMs || loop.nowUs - askedUs >= pauseUs else { continue }
                let wasDue = await round()
                pauseUs = wasDue ? StockUpkeep.shortestPauseUs : min(StockUpkeep.longestPauseUs, pauseUs * 2)
            }
        }
    }

    func stop() { isStopped = true }

    /// Goes once through all that is due.
    /// - Returns: whether anything was.
    @discardableResult
    func round() async -> Bool {
        let parts = Array(0..<StockKeys.dueParts)
        let loop = lanes.context.loop
        dueMs = .max
        (askedUs, askedMs) = (loop.nowUs, askedMs + Int((loop.nowUs - askedUs) / 1000))
        var wasDue = false
        if let orders {
            // What lies at a node that is away keeps nothing else waiting.
            wasDue = await together(parts, on: loop) { [self] part in
                guard let due = try? await due([part]) else { return false }
                if due.contains(part) { _ = await sweep(part) }
                return await finishOrders(part, orders) || due.contains(part)
            }.contains(true)
        } else if let due = try? await due(parts) {
            wasDue = !due.isEmpty
            for part in due { if await !sweep(part) { return true } }
        }
        if let next = try? await outbox.escalate(nowMs: askedMs) { dueMs = min(dueMs, next) }
        return wasDue
    }

    /// Which parts have anything that is due.
    private func due(_ parts: [Int]) async throws -> [Int] {
        let keys = parts.flatMap { [lanes.keys.due(part: $0), lanes.keys.duringSweep(part: $0)] }
        let reply = try await lanes.context.redis.run(
            InventoryScripts.dueFirst, keys: keys, arguments: [lanes.givenNowMs.map { String($0) } ?? ""],
            budgetUs: StockUpkeep.budgetUs)
        guard let words = reply.strings, words.count == 1 + keys.count, let nowMs = Int(words[0]) else {
            throw RedisError.unexpectedReply("due_first")
        }
        (askedUs, askedMs) = (lanes.context.loop.nowUs, nowMs)
        var due: [Int] = []
        for (i, part) in parts.enumerated() {
            let first = min(Int(words[1 + 2 * i]) ?? .max, Int(words[2 + 2 * i]) ?? .max)
            if first <= nowMs { due.append(part) } else { dueMs = min(dueMs, first) }
        }
        return due
    }

    /// False when Redis is away: the next round finds the same.
    private func sweep(_ part: Int) async -> Bool {
        var more = true
        while more, !isStopped {
            let keys = [lanes.keys.due(part: part), lanes.keys.duringSweep(part: part)]
            guard let names = try? await take(keys, forMs: StockUpkeep.takenMs) else { return false }
            _ = await together(names.compactMap { SKU(code: $0) }, on: lanes.context.loop) { [self] sku in
                await sweep(sku, part)
            }
            more = names.count == StockUpkeep.mostAtOnce
        }
        return true
    }

    /// Finishes or undoes orders over SKUs in several slots that somebody has left.
    /// - Returns: whether there were any.
    private func finishOrders(_ part: Int, _ orders: ClusterOrders) async -> Bool {
        let keys = [lanes.keys.orderDue(part: part), lanes.keys.ordersTaken(part: part)]
        var more = true
        var wereThere = false
        while more, !isStopped {
            guard let names = try? await take(keys, forMs: StockUpkeep.ordersTakenMs) else { return wereThere }
            wereThere = wereThere || !names.isEmpty
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
        return wereThere
    }

    /// SKUs of a part that are due, taken for a while.
    func take(part: Int) async throws -> [String] {
        try await take([lanes.keys.due(part: part), lanes.keys.duringSweep(part: part)], forMs: StockUpkeep.takenMs)
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
                dueMs = min(dueMs, Int(next) ?? .max)
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

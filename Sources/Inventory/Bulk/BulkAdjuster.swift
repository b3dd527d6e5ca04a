import EventLoops
import JSON
import Redis
import Services

/// Does many adjustments: rows of one SKU in their order, SKUs beside each other.
final class BulkAdjuster {
    /// What became of a row.
    enum Outcome: Sendable {
        case done(AdjustmentResult, sku: SKU, productID: String)
        case failed(Problem)
    }

    /// On whose behalf, and how it is written down.
    struct Call: Sendable {
        var actor: String
        var key: String?
        /// Digest of the request, when it came with a key.
        var request: String?
        /// For how long a row that is tried again finds itself done.
        var keptMs = 60_000
        /// What the ledger calls it; nil: `adjust`.
        var ledgerType: String?
        /// Whether warehouses must be there and take what is added.
        var asksWarehouses = true
    }

    let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses: Warehouses
    /// After this a sweeper looks for what a call left behind, should its caller die.
    private static let lookAfterMs = 5000
    private static let budgetUs: Int64 = 5_000_000

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.warehouses = warehouses
    }

    /// Does each row that can be done.
    func apply(_ rows: [BulkRow], _ call: Call) async -> [Outcome] {
        let targets = await targets(rows, call)
        return await suspend { resume in
            var outcomes = targets.map { target -> Outcome? in
                if case .failure(let problem) = target { .failed(problem) } else { nil }
            }
            var missing = outcomes.count { $0 == nil }
            if missing == 0 { return resume(outcomes.map { $0! }) }
            for (i, target) in targets.enumerated() {
                guard case .success(let sku) = target else { continue }
                let step = StockStep.scripted(json: operation(rows[i], call).text(), drains: false)
                lanes.submit(step, on: sku) { [self] answer in
                    outcomes[i] = outcome(answer, rows[i], sku, call)
                    missing -= 1
                    if missing == 0 { resume(outcomes.map { $0! }) }
                }
            }
        }
    }

    /// Does all rows in one step or, when one of them can't be done, none: then the outcomes are the failures, and nil for
    /// rows that were fine.
    func applyTogether(_ rows: [BulkRow], _ call: Call) async throws -> [Outcome?] {
        let targets = await targets(rows, call)
        let refused = targets.map { target -> Outcome? in
            if case .failure(let problem) = target { .failed(problem) } else { nil }
        }
        if refused.contains(where: { $0 != nil }) { return refused }
        var skus: [SKU] = []
        var places: [SKU: Int] = [:]
        var arguments = [lanes.givenNowMs.map { String($0) } ?? ""]
        for (row, target) in zip(rows, targets) {
            guard case .success(let sku) = target else { continue }
            if places[sku] == nil {
                skus.append(sku)
                places[sku] = skus.count
            }
            arguments += [String(places[sku]!), operation(row, call).text()]
        }
        try await announce(skus)
        let words = try await run(skus, arguments)
        guard words.count == 5, let nowMs = words[1].int, case .array(let outboxes) = words[2],
            let products = words[3].strings, case .array(let answers) = words[4], answers.count == rows.count
        else { throw RedisError.unexpectedReply("bulk") }
        for (sku, outbox) in zip(skus, outboxes) where outbox.int ?? 0 > 0 { lanes.onOutbox?(sku) }
        return zip(rows, zip(targets, answers)).map { row, what -> Outcome? in
            guard case .success(let sku) = what.0, let answer = what.1.strings, let word = answer.first else {
                return .failed(Problem(.internalError, "the stock gave an answer that does not belong here"))
            }
            if word == "fine" { return nil }
            let reply = StockReply(
                nowMs: nowMs, productID: products[places[sku]! - 1], word: word, rest: Array(answer.dropFirst()))
            return outcome(.other(reply), row, sku, call)
        }
    }

    /// Whether rows are of several slots, which no script may be at together.
    func isSpread(_ rows: [BulkRow], _ call: Call) async -> Bool {
        guard lanes.context.redis.isCluster else { return false }
        return Set(await targets(rows, call).compactMap { try? $0.get() }.map { RedisSlot.of($0.code) }).count > 1
    }

    /// Calls the script until it has judged. A call whose reply was lost is made again: rows that are done are found so.
    private func run(_ skus: [SKU], _ arguments: [String]) async throws -> [RedisReply] {
        var losses = 0
        while true {
            do {
                let reply = try await lanes.context.redis.run(
                    InventoryScripts.bulk, keys: skus.map { lanes.keys.stock($0) } + [lanes.keys.whole(skus[0])],
                    arguments: arguments,
                    budgetUs: BulkAdjuster.budgetUs)
                if case .array(let words) = reply { return words }
            } catch {
                losses += 1
                guard error.mayHaveRun, losses < 2 else { throw error }
            }
        }
    }

    private func announce(_ skus: [SKU]) async throws {
        let ms = String(try await lanes.nowMs(of: lanes.keys.stock(skus[0])) + BulkAdjuster.lookAfterMs)
        let redis = lanes.context.redis
        let groups = Dictionary(grouping: skus) { lanes.keys.due($0) }
        _ = try await together(Array(groups), on: lanes.context.loop) { due, skus in
            try await redis.send(
                ["ZADD", due, "LT"] + skus.flatMap { [ms, $0.code] }, key: due, budgetUs: BulkAdjuster.budgetUs)
        }
    }

    // MARK: Rows

    private func operation(_ row: BulkRow, _ call: Call) -> JSONValue {
        row.adjustment.operation(
            id: row.id, actor: call.actor, key: call.key, request: call.request, keptMs: call.keptMs,
            ledgerType: call.ledgerType)
    }

    private func outcome(_ answer: StockAnswer, _ row: BulkRow, _ sku: SKU, _ call: Call) -> Outcome {
        switch answer {
        case .other(let reply):
            do throws(Problem) {
                let result = try row.adjustment.result(of: reply, sku: sku, request: call.request)
                return .done(result, sku: sku, productID: reply.productID)
            } catch { return .failed(field("productId", error)) }
        case .failed(let error): return .failed(ProblemReply.problem(for: error, log: lanes.context.log))
        default: return .failed(Problem(.internalError, "the stock gave an answer that does not belong here"))
        }
    }

    /// The SKU of each row, or why it can't be done. Each name is looked up once.
    func targets(_ rows: [BulkRow], _ call: Call) async -> [Result<SKU, Problem>] {
        let names = Array(Set(rows.map(\.adjustment.product)))
        let found = await together(names, on: lanes.context.loop) { [self] name -> Result<SKU, Problem> in
            do { return .success(try await catalogue.sku(name)) } catch {
                return .failure(field("productId", ProblemReply.problem(for: error, log: lanes.context.log)))
            }
        }
        let skus = Dictionary(uniqueKeysWithValues: zip(names, found))
        var places: [String: Result<Warehouse, Problem>] = [:]
        for id in Set(rows.map(\.adjustment.warehouse)) where call.asksWarehouses {
            do { places[id] = .success(try await warehouses.require(id)) } catch {
                places[id] = .failure(field("warehouseId", ProblemReply.problem(for: error, log: lanes.context.log)))
            }
        }
        return rows.map { row in
            switch (skus[row.adjustment.product]!, places[row.adjustment.warehouse]) {
            case (.failure(let problem), _), (_, .failure(let problem)?): return .failure(problem)
            case (.success(let sku), .success(let warehouse)?):
                do throws(Problem) { try warehouse.mayTake(row.adjustment) } catch { return .failure(error) }
                return .success(sku)
            case (.success(let sku), nil): return .success(sku)
            }
        }
    }

    private func field(_ name: String, _ problem: Problem) -> Problem {
        var problem = problem
        if problem.kind == .notFound { problem.field = name }
        return problem
    }
}

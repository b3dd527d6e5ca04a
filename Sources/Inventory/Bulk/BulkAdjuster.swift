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
        /// For how long a row that is tried again finds itself done.
        var keptMs = 60_000
        /// What the ledger calls it; nil: `adjust`.
        var ledgerType: String?
        /// Whether warehouses must be there and take what is added.
        var asksWarehouses = true
        /// Whether a row that can't be done is remembered as such: tried again, it is refused as before.
        var isFinal = false
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
        var slices = WorkSlices(lanes.context.loop)
        var operations: [String] = []
        for row in rows {
            operations.append(operation(row, call).text())
            await slices.pauseIfLong()
        }
        return await suspend { [operations] resume in
            var outcomes = targets.map { target -> Outcome? in
                if case .failure(let problem) = target { .failed(problem) } else { nil }
            }
            var missing = outcomes.count { $0 == nil }
            if missing == 0 { return resume(outcomes.map { $0! }) }
            for (i, target) in targets.enumerated() {
                guard case .success(let sku) = target else { continue }
                let step = StockStep.scripted(json: operations[i], drains: false)
                lanes.submit(step, on: sku) { [self] answer in
                    outcomes[i] = outcome(answer, rows[i], sku, call)
                    missing -= 1
                    if missing == 0 { resume(outcomes.map { $0! }) }
                }
            }
        }
    }

    /// Does all rows in one step or, when one of them can't be done, none: then the outcomes are the failures, all of them,
    /// and nil for rows that were fine.
    /// - Parameter isTrial: whether none is to be done in any case.
    func applyTogether(_ rows: [BulkRow], _ call: Call, isTrial: Bool) async throws -> [Outcome?] {
        let targets = await targets(rows, call)
        var outcomes: [Outcome?] = []
        var skus: [SKU] = []
        var judged: [(row: Int, sku: SKU, place: Int)] = []
        var places: [SKU: Int] = [:]
        for (i, target) in targets.enumerated() {
            switch target {
            case .failure(let problem): outcomes.append(.failed(problem))
            case .success(let sku):
                outcomes.append(nil)
                let place = places[sku] ?? skus.count + 1
                if places[sku] == nil { skus.append(sku) }
                places[sku] = place
                judged.append((i, sku, place))
            }
        }
        guard !judged.isEmpty else { return outcomes }
        let isTrial = isTrial || judged.count < rows.count
        var arguments = [lanes.givenNowMs.map { String($0) } ?? "", isTrial ? "try" : "do"]
        var slices = WorkSlices(lanes.context.loop)
        for (i, _, place) in judged {
            arguments += [String(place), operation(rows[i], call).text()]
            await slices.pauseIfLong()
        }
        try await announce(skus)
        let words = try await run(skus, arguments)
        guard words.count == 5, let nowMs = words[1].int, case .array(let outboxes) = words[2],
            let products = words[3].strings, products.count == skus.count, case .array(let answers) = words[4],
            answers.count == judged.count
        else { throw RedisError.unexpectedReply("bulk") }
        for (sku, outbox) in zip(skus, outboxes) where outbox.int ?? 0 > 0 { lanes.onOutbox?(sku) }
        for ((i, sku, place), answer) in zip(judged, answers) {
            guard let words = answer.strings, let word = words.first else { throw RedisError.unexpectedReply("bulk") }
            if word == "fine" { continue }
            let reply = StockReply(
                nowMs: nowMs, productID: products[place - 1], word: word, rest: Array(words.dropFirst()))
            outcomes[i] = outcome(.other(reply), rows[i], sku, call)
            await slices.pauseIfLong()
        }
        return outcomes
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
            id: row.id, actor: call.actor, key: call.key, keptMs: call.keptMs, ledgerType: call.ledgerType,
            isFinal: call.isFinal)
    }

    private func outcome(_ answer: StockAnswer, _ row: BulkRow, _ sku: SKU, _ call: Call) -> Outcome {
        switch answer {
        case .other(let reply):
            do throws(Problem) {
                let result = try row.adjustment.result(of: reply, sku: sku, request: nil)
                return .done(result, sku: sku, productID: reply.productID)
            } catch { return .failed(field("productId", error)) }
        case .failed(let error): return .failed(ProblemReply.problem(for: error, log: lanes.context.log))
        default: return .failed(Problem(.internalError, "the stock gave an answer that does not belong here"))
        }
    }

    /// The SKU of each row, or why it can't be done. Each name is looked up once.
    func targets(_ rows: [BulkRow], _ call: Call) async -> [Result<SKU, Problem>] {
        let names = Array(Set(rows.map(\.adjustment.product).filter { catalogue.known($0) == nil }))
        let found = await together(names, on: lanes.context.loop) { [self] name -> Result<SKU, Problem> in
            do { return .success(try await catalogue.sku(name)) } catch {
                return .failure(field("productId", ProblemReply.problem(for: error, log: lanes.context.log)))
            }
        }
        // Strings are equal when Unicode calls them equivalent; SKUs are not, and so are not looked up by name.
        let byID = Dictionary(zip(names, found), uniquingKeysWith: { first, _ in first })
        var places: [String: Result<Warehouse, Problem>] = [:]
        for id in Set(rows.map(\.adjustment.warehouse)) where call.asksWarehouses {
            do { places[id] = .success(try await warehouses.require(id)) } catch {
                places[id] = .failure(field("warehouseId", ProblemReply.problem(for: error, log: lanes.context.log)))
            }
        }
        return rows.map { row in
            let name = row.adjustment.product
            let sku = catalogue.known(name).map { .success($0) } ?? byID[name] ?? .failure(Catalogue.unknown(name))
            switch (sku, places[row.adjustment.warehouse]) {
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

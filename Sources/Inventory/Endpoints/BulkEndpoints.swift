import Digests
import HTTP
import JSON
import Services

/// `/api/inventory/bulk-adjust`: many adjustments in one request.
final class BulkEndpoints {
    private enum Mode: String, CaseIterable { case partial, atomic }

    private let adjuster: BulkAdjuster
    private let store: BulkStore
    private let spread: SpreadBulk
    private static let bodyLimit = 32 << 20
    /// So many are done before the answer; more in the background.
    private static let mostAtOnce = 1000
    private static let most = 100_000

    init(adjuster: BulkAdjuster, store: BulkStore, runner: BulkRunner) {
        self.adjuster = adjuster
        self.store = store
        spread = SpreadBulk(adjuster: adjuster, store: store, runner: runner)
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/inventory/bulk-adjust", role: .stock, bodyLimit: BulkEndpoints.bodyLimit) {
            [unowned self] exchange, caller in try await adjust(exchange, caller)
        }
        routes.on(.get, "/api/inventory/bulk/{id}", role: .read) { [unowned self] exchange, _ in
            let bulk = try await find(exchange)
            exchange.reply(200, json: bulk.json(errors: try await store.errors(bulk.id)))
        }
        routes.on(.post, "/api/inventory/bulk/{id}/rollback", role: .stock) { [unowned self] exchange, _ in
            try await rollBack(exchange)
        }
    }

    private func adjust(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        var fields = try Fields(exchange.jsonBody())
        let mode = try fields.word("mode", Mode.self) ?? .partial
        let sent = try fields.array("adjustments", maxCount: BulkEndpoints.most).required("adjustments")
        guard !sent.isEmpty else { throw Problem.field("adjustments", "must not be empty") }
        try fields.finish()
        let id = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let (rows, errors) = BulkEndpoints.parse(sent, bulk: id)
        try await KeyClaims.claim(key, adjuster.lanes.keys, adjuster.lanes.context.redis)
        if sent.count > BulkEndpoints.mostAtOnce {
            guard mode == .partial || errors.isEmpty else { return refuse(errors, to: exchange) }
            return try await begin(id, mode, sent.count, rows, errors, caller, to: exchange)
        }
        var call = BulkAdjuster.Call(actor: caller.name)
        call.key = exchange.header("idempotency-key")?.string
        call.request = key.map { String($0.bodyDigest.prefix(16)) }
        if key != nil { call.keptMs = IdempotencyKey.keptMs }
        if mode == .atomic {
            guard errors.isEmpty else { return refuse(errors, to: exchange) }
            if await adjuster.isSpread(rows, call) {
                switch try await spread.adjust(id, rows, actor: caller.name, key: call.key) {
                case .done(let id, let rows, let outcomes): answer(id, rows, outcomes, [], sent, to: exchange)
                case .refused(let errors):
                    refuse(
                        errors.map { BulkRowError(index: $0.index, problem: $0.problem, row: sent[$0.index]) },
                        to: exchange)
                }
                return
            }
            let outcomes = try await adjuster.applyTogether(rows, call)
            let failures = BulkEndpoints.errors(rows, outcomes, sent)
            guard failures.isEmpty else { return refuse(failures, to: exchange) }
            let done = outcomes.compactMap { $0 }
            await record(id, mode, sent.count, rows, done, caller)
            return answer(id, rows, done, [], sent, to: exchange)
        }
        let outcomes = await adjuster.apply(rows, call)
        await record(id, mode, sent.count, rows, outcomes, caller)
        answer(id, rows, outcomes, errors, sent, to: exchange)
    }

    private static func parse(_ sent: [JSONValue], bulk: String) -> ([BulkRow], [BulkRowError]) {
        var rows: [BulkRow] = []
        var errors: [BulkRowError] = []
        for (i, value) in sent.enumerated() {
            do throws(Problem) {
                rows.append(BulkRow(index: i, try Adjustment(value, named: true), bulk: bulk))
            } catch { errors.append(BulkRowError(index: i, problem: error, row: value)) }
        }
        return (rows, errors)
    }

    private static func errors(
        _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome?], _ sent: [JSONValue]
    ) -> [BulkRowError] {
        zip(rows, outcomes).compactMap { row, outcome in
            guard case .failed(let problem)? = outcome else { return nil }
            return BulkRowError(index: row.index, problem: problem, row: sent[row.index])
        }
    }

    // MARK: In the background

    private func begin(
        _ id: String, _ mode: Mode, _ total: Int, _ rows: [BulkRow], _ errors: [BulkRowError], _ caller: Caller,
        to exchange: Exchange
    ) async throws {
        var bulk = BulkState(id: id, status: mode == .atomic ? .checking : .running)
        bulk.isAtomic = mode == .atomic
        bulk.total = total
        bulk.failed = errors.count
        bulk.actor = caller.name
        if try await store.find(id) == nil { try await store.open(bulk, rows, errors: errors) }
        guard let made = try await store.find(id) else { throw BulkEndpoints.missing(id) }
        reply(202, made, errors: [], to: exchange)
    }

    /// Writes down what was changed, so that it can be rolled back. It stands without this too.
    private func record(
        _ id: String, _ mode: Mode, _ total: Int, _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome],
        _ caller: Caller
    ) async {
        let changes = outcomes.map(BulkRunner.change)
        var bulk = BulkState(id: id, status: .completed)
        bulk.isAtomic = mode == .atomic
        bulk.total = total
        bulk.successful = changes.count { $0 != nil }
        bulk.failed = total - bulk.successful
        bulk.actor = caller.name
        bulk.place = (rows.count + BulkState.rowsPerChunk - 1) / BulkState.rowsPerChunk
        do { try await store.open(bulk, rows, errors: [], changes: changes) } catch {
            store.context.log.warning(
                "a bulk can't be rolled back", ["bulk": .string(id), "error": .string("\(error)")])
        }
    }

    private func rollBack(_ exchange: Exchange) async throws {
        let bulk = try await find(exchange)
        switch bulk.status {
        case .completed:
            try await store.announce(bulk.id, inMs: 0)
            // Another request may have begun it in between, which is as well.
            _ = try await store.step(
                bulk.id, .init(from: .completed, to: .rollingBack, place: bulk.chunks))
            try await store.announce(bulk.id, inMs: 0)
        case .rollingBack: try await store.announce(bulk.id, inMs: 0)
        case .rolledBack: break
        case .checking, .running, .compensating: throw Problem(.conflict, "the bulk is \(bulk.status.rawValue)")
        case .failed: throw Problem(.conflict, "the bulk is failed: it changed nothing")
        }
        let now = try await find(exchange)
        reply(now.status == .rolledBack ? 200 : 202, now, errors: try await store.errors(now.id), to: exchange)
    }

    private func find(_ exchange: Exchange) async throws -> BulkState {
        let id = exchange.parameter(0)
        guard id.utf8.count == StockID.digits, let bulk = try await store.find(id) else {
            throw BulkEndpoints.missing(id)
        }
        return bulk
    }

    private static func missing(_ id: String) -> Problem { Problem(.notFound, "there is no bulk \(id.prefix(80))") }

    private func reply(_ status: Int, _ bulk: BulkState, errors: [JSONValue], to exchange: Exchange) {
        exchange.beginReply(status)
        exchange.addHeader("Location", "/api/inventory/bulk/\(bulk.id)")
        exchange.finishReply(contentType: "application/json") { bulk.json(errors: errors).write(to: $0) }
    }

    // MARK: Answers

    private func answer(
        _ id: String, _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome], _ unread: [BulkRowError],
        _ sent: [JSONValue],
        to exchange: Exchange
    ) {
        var results: [JSONValue] = []
        for (row, outcome) in zip(rows, outcomes) {
            guard case .done(let result, let sku, let productID) = outcome else { continue }
            results.append(
                .object(
                    [.init("index", .int(row.index))]
                        + row.adjustment.members(
                            result, id: StockID(sku: sku, suffix: row.id), sku: sku, productID: productID)))
        }
        let errors = (unread + BulkEndpoints.errors(rows, outcomes, sent)).sorted { $0.index < $1.index }
        exchange.reply(
            200,
            json: .object([
                .init("id", .string(id)), .init("successful", .int(results.count)), .init("failed", .int(errors.count)),
                .init("results", .array(results)), .init("errors", .array(errors.map(\.json))),
            ]))
    }

    /// Nothing was done, for the reasons that are given.
    private func refuse(_ errors: [BulkRowError], to exchange: Exchange) {
        let detail = "nothing was changed: \(errors.count) of the adjustments can't be made"
        exchange.beginReply(409)
        exchange.addHeader("Cache-Control", "no-store")
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            ProblemReply.writeFields(Problem(.conflict, detail), to: &json)
            json.field("successful", 0)
            json.field("failed", errors.count)
            json.beginArray("results")
            json.endArray()
            json.key("errors")
            JSONValue.array(errors.map(\.json)).write(to: body)
            json.endObject()
        }
    }
}

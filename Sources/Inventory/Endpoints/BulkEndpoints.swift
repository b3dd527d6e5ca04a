import Digests
import HTTP
import JSON
import Services

/// `/api/inventory/bulk-adjust`: many adjustments in one request.
final class BulkEndpoints {
    private enum Mode: String, CaseIterable { case partial, atomic }

    private let adjuster: BulkAdjuster
    private static let bodyLimit = 32 << 20
    /// So many are done before the answer; more in the background.
    private static let mostAtOnce = 1000

    init(adjuster: BulkAdjuster) { self.adjuster = adjuster }

    func add(to routes: Routes) {
        routes.on(.post, "/api/inventory/bulk-adjust", role: .sell, bodyLimit: BulkEndpoints.bodyLimit) {
            [unowned self] exchange, caller in try await adjust(exchange, caller)
        }
    }

    private func adjust(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        var fields = try Fields(exchange.jsonBody())
        let mode = try fields.word("mode", Mode.self) ?? .partial
        let sent = try fields.array("adjustments", maxCount: BulkEndpoints.mostAtOnce).required("adjustments")
        guard !sent.isEmpty else { throw Problem.field("adjustments", "must not be empty") }
        try fields.finish()
        let id = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let (rows, errors) = BulkEndpoints.parse(sent, bulk: id)
        try await KeyClaims.claim(key, adjuster.lanes.keys, adjuster.lanes.context.redis)
        var call = BulkAdjuster.Call(actor: caller.name)
        call.key = exchange.header("idempotency-key")?.string
        call.request = key.map { String($0.bodyDigest.prefix(16)) }
        if key != nil { call.keptMs = IdempotencyKey.keptMs }
        if mode == .atomic {
            guard errors.isEmpty else { return refuse(errors, to: exchange) }
            let outcomes = try await adjuster.applyTogether(rows, call)
            let failures = BulkEndpoints.errors(rows, outcomes, sent)
            guard failures.isEmpty else { return refuse(failures, to: exchange) }
            return answer(rows, outcomes.compactMap { $0 }, [], sent, to: exchange)
        }
        answer(rows, await adjuster.apply(rows, call), errors, sent, to: exchange)
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

    // MARK: Answers

    private func answer(
        _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome], _ unread: [BulkRowError], _ sent: [JSONValue],
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
                .init("successful", .int(results.count)), .init("failed", .int(errors.count)),
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

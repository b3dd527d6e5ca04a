import Digests
import EventLoops
import HTTP
import JSON
import Services

/// `/api/inventory/bulk-adjust`: many adjustments in one request.
final class BulkEndpoints {
    private let adjuster: BulkAdjuster
    private let store: BulkStore
    private let spread: SpreadBulk
    private static let bodyLimit = 32 << 20
    /// So many are done before the answer; more in the background.
    private static let mostAtOnce = 1000
    /// For how long a row is known under a key: longer than the key, so that whoever comes again with it finds the row.
    private static let keptMs = IdempotencyKey.keptMs + 3_600_000

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
        let key = try await IdempotencyKey.ofLargeBody(exchange, caller: caller)
        let request = try await exchange.jsonBodyOffLoop { try BulkRequest($0) }
        let own = RandomID.hex(bytes: StockID.digits / 2)
        let id = try await KeyClaims.id(key, own: own, adjuster.lanes.keys, adjuster.lanes.context.redis)
        var call = BulkAdjuster.Call(actor: caller.name)
        call.key = exchange.header("idempotency-key")?.string
        guard request.total <= BulkEndpoints.mostAtOnce else {
            return try await begin(id, request, call, to: exchange)
        }
        if key != nil {
            call.keptMs = BulkEndpoints.keptMs
            if try await answerAgain(id, request, call, to: exchange) { return }
        }
        switch request.mode {
        case .partial: try await doEach(id, request, call, to: exchange)
        case .atomic: try await doTogether(id, request, call, to: exchange)
        }
    }

    private func doEach(
        _ id: String, _ request: BulkRequest, _ call: BulkAdjuster.Call, to exchange: Exchange
    ) async throws {
        var call = call
        // Whoever comes again with the key gets the same answer: what failed then is not done later.
        call.isFinal = call.key != nil
        let rows = request.rows(of: id)
        let outcomes = await adjuster.apply(rows, call)
        let isFirst = try await record(id, request, rows, outcomes, call)
        // Where the same request was faster, its word counts.
        if !isFirst, try await answerAgain(id, request, call, to: exchange) { return }
        await answer(id, rows, outcomes, request.errors, to: exchange)
    }

    private func doTogether(
        _ id: String, _ request: BulkRequest, _ call: BulkAdjuster.Call, to exchange: Exchange
    ) async throws {
        let rows = request.rows(of: id)
        let isSpread = await adjuster.isSpread(rows, call)
        if isSpread, request.errors.isEmpty {
            switch try await spread.adjust(id, request, actor: call.actor, key: call.key) {
            case .done(let id, let rows, let outcomes): await answer(id, rows, outcomes, RowErrors(), to: exchange)
            case .refused(let errors): refuse(errors.count, errors, to: exchange)
            }
            return
        }
        if isSpread { return try await refuse(request, call, to: exchange) }
        let outcomes = try await adjuster.applyTogether(rows, call, isTrial: !request.errors.isEmpty)
        let done = outcomes.compactMap { $0 }
        let errors = request.errors + BulkEndpoints.errors(zip(rows, outcomes))
        guard errors.isEmpty, done.count == rows.count else {
            return refuse(errors.count, errors.list.map { $0.json("index") }, to: exchange)
        }
        _ = try await record(id, request, rows, done, call)
        await answer(id, rows, done, RowErrors(), to: exchange)
    }

    private static func errors(_ done: some Sequence<(BulkRow, BulkAdjuster.Outcome?)>) -> RowErrors {
        var errors = RowErrors()
        for case (let row, .failed(let problem)?) in done {
            errors.add(RowError(row.index, problem, row: row.adjustment.json))
        }
        return errors
    }

    // MARK: Again

    /// Answers a request that was answered before under its key, from what was written down of it.
    /// - Returns: false where nothing was.
    private func answerAgain(
        _ id: String, _ request: BulkRequest, _ call: BulkAdjuster.Call, to exchange: Exchange
    ) async throws -> Bool {
        // One that failed was over several slots, and is tried anew under another id.
        guard let bulk = try await store.find(id), bulk.isOfRequest else { return false }
        var changes: [Int?] = []
        for chunk in 0..<bulk.chunks { changes += try await store.changes(id, chunk: chunk) }
        let rows = zip(request.rows(of: id), changes).compactMap { $1 == nil ? nil : $0 }
        var call = call
        // Each finds itself done, also where nothing may be added any more.
        call.asksWarehouses = false
        let outcomes = await adjuster.apply(rows, call)
        await answer(id, rows, outcomes, told: try await store.errors(id), failed: bulk.failed, to: exchange)
        return true
    }

    /// Writes down what was done, so that it can be answered again and rolled back.
    /// - Returns: false where that was done already.
    /// - Throws: under a key only: nobody could answer the same again.
    private func record(
        _ id: String, _ request: BulkRequest, _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome],
        _ call: BulkAdjuster.Call
    ) async throws -> Bool {
        let changes = outcomes.map(BulkRunner.change)
        var bulk = BulkState(id: id, status: .completed)
        bulk.isAtomic = request.mode == .atomic
        bulk.total = request.total
        bulk.successful = changes.count { $0 != nil }
        bulk.failed = request.total - bulk.successful
        bulk.actor = call.actor
        bulk.place = request.chunks.count
        bulk.isOfRequest = true
        do {
            return try await store.open(
                bulk, request, changes: changes, errors: BulkEndpoints.errors(zip(rows, outcomes.map(Optional.some))))
        } catch  where call.key == nil {
            store.context.log.warning(
                "a bulk can't be rolled back", ["bulk": .string(id), "error": .string("\(error)")])
            return true
        }
    }

    // MARK: In the background

    private func begin(
        _ id: String, _ request: consuming BulkRequest, _ call: BulkAdjuster.Call, to exchange: Exchange
    ) async throws {
        let isAtomic = request.mode == .atomic
        guard !isAtomic || request.errors.isEmpty else { return try await refuse(request, call, to: exchange) }
        var bulk = BulkState(id: id, status: isAtomic ? .checking : .running)
        bulk.isAtomic = isAtomic
        bulk.total = request.total
        bulk.failed = request.errors.count
        bulk.actor = call.actor
        bulk.key = call.key
        if try await store.find(id) == nil { try await store.open(bulk, request) }
        guard let made = try await store.find(id) else { throw BulkEndpoints.missing(id) }
        reply(202, made, errors: [], to: exchange)
    }

    /// Refuses an atomic bulk of which some rows could not be read, with those that could not be done either.
    private func refuse(_ request: BulkRequest, _ call: BulkAdjuster.Call, to exchange: Exchange) async throws {
        let trial = BulkTrial(adjuster: adjuster)
        var errors = request.errors
        for chunk in request.chunks {
            let rows = chunk.map { BulkRow(index: $0.index, $0.adjustment, bulk: "") }
            errors = errors + (try await trial.judge(rows, call))
        }
        refuse(errors.count, errors.list.map { $0.json("index") }, to: exchange)
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
        _ id: String, _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome], _ unread: RowErrors, to exchange: Exchange
    ) async {
        let errors = unread + BulkEndpoints.errors(zip(rows, outcomes.map(Optional.some)))
        await answer(
            id, rows, outcomes, told: errors.list.map { $0.json("index") }, failed: errors.count, to: exchange)
    }

    private func answer(
        _ id: String, _ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome], told: [JSONValue], failed: Int,
        to exchange: Exchange
    ) async {
        let results = JSONList()
        let errors = JSONList()
        var slices = WorkSlices(store.context.loop)
        for (row, outcome) in zip(rows, outcomes) {
            guard case .done(let result, let sku, let productID) = outcome else { continue }
            results.append(
                .object(
                    [.init("index", .int(row.index))]
                        + row.adjustment.members(
                            result, id: StockID(sku: sku, suffix: row.id), sku: sku, productID: productID)))
            await slices.pauseIfLong()
        }
        for error in told {
            errors.append(error)
            await slices.pauseIfLong()
        }
        exchange.beginReply(200)
        exchange.finishReply(contentType: "application/json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            json.field("id", id)
            json.field("successful", results.count)
            json.field("failed", failed)
            json.key("results")
            json.raw(results.end())
            json.key("errors")
            json.raw(errors.end())
            json.endObject()
        }
    }

    /// Nothing was done, for the reasons that are given.
    private func refuse(_ count: Int, _ errors: [JSONValue], to exchange: Exchange) {
        let detail = "nothing was changed: \(count) of the adjustments can't be made"
        exchange.beginReply(409)
        exchange.addHeader("Cache-Control", "no-store")
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            ProblemReply.writeFields(Problem(.conflict, detail), to: &json)
            json.field("successful", 0)
            json.field("failed", count)
            json.beginArray("results")
            json.endArray()
            if count > errors.count { json.field("errorsNotTold", count - errors.count) }
            json.key("errors")
            JSONValue.array(errors).write(to: body)
            json.endObject()
        }
    }
}

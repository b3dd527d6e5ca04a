import Digests
import EventLoops
import HTTP
import JSON
import Services

/// `/api/products/import` and `/api/inventory/import`: files, line by line. A line that can't be taken is told by its number
/// and holds up no other.
final class ImportEndpoints {
    private let importer: ProductImporter
    private let adjuster: BulkAdjuster
    private static let bodyLimit = 16 << 20
    private static let rowsAtOnce = 200
    private static let stockColumns = TableReader.Columns(
        numbers: ["quantity", "expected"], texts: ["sku", "productId", "warehouseId", "type", "reason"],
        ignored: ["reserved", "available", "inTransit", "warehouseName", "warehouseLocation", "lastUpdated"])

    init(products: ProductStore, adjuster: BulkAdjuster) {
        importer = ProductImporter(store: products)
        self.adjuster = adjuster
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/products/import", role: .admin, bodyLimit: ImportEndpoints.bodyLimit) {
            [unowned self] exchange, _ in try await products(exchange)
        }
        routes.on(.post, "/api/inventory/import", role: .stock, bodyLimit: ImportEndpoints.bodyLimit) {
            [unowned self] exchange, caller in try await stock(exchange, caller)
        }
    }

    // MARK: Products

    private func products(_ exchange: Exchange) async throws {
        var reader = try TableReader(
            exchange.body, TableFormat(exchange, ofBody: true), ProductImporter.columns)
        var counts = (created: 0, updated: 0, unchanged: 0)
        var errors = RowErrors()
        var waiting: [(line: Int, row: JSONValue)] = []
        var slices = WorkSlices(exchange.loop)
        func take() async {
            for (line, outcome) in zip(waiting.map(\.line), await importer.take(waiting.map(\.row))) {
                switch outcome {
                case .created: counts.created += 1
                case .updated: counts.updated += 1
                case .unchanged: counts.unchanged += 1
                case .failed(let problem): errors.add(RowError(line, problem))
                }
            }
            waiting = []
        }
        while let line = reader.next() {
            await slices.pauseIfLong()
            switch line {
            case .unfinished: continue
            case .bad(let line, let fault): errors.add(RowError(line, fault.problem))
            case .row(let line, let row):
                waiting.append((line, row))
                if waiting.count == ImportEndpoints.rowsAtOnce { await take() }
            }
        }
        await take()
        exchange.reply(
            200,
            json: .object(
                [
                    .init("created", .int(counts.created)), .init("updated", .int(counts.updated)),
                    .init("unchanged", .int(counts.unchanged)),
                ] + errors.members("line")))
    }

    // MARK: Stock

    private func stock(_ exchange: Exchange, _ caller: Caller) async throws {
        let (keys, redis) = (adjuster.lanes.keys, adjuster.lanes.context.redis)
        let key = try await IdempotencyKey.ofLargeBody(exchange, caller: caller)
        var reader = try TableReader(
            exchange.body, TableFormat(exchange, ofBody: true), ImportEndpoints.stockColumns)
        let id: String
        switch try await KeyClaims.begin(key, own: RandomID.hex(bytes: StockID.digits / 2), keys, redis) {
        case .goOn(let own): id = own
        case .answered(let status, let body):
            exchange.beginReply(status)
            return exchange.finishReply(contentType: "application/json") { $0.append(body) }
        }
        var call = BulkAdjuster.Call(actor: caller.name)
        call.key = exchange.header("idempotency-key")?.string
        // Longer than the key is known, so that whoever comes again with it finds each row as it is.
        if key != nil { call.keptMs = IdempotencyKey.keptMs + 3_600_000 }
        call.isFinal = key != nil
        var successful = 0
        var errors = RowErrors()
        var waiting: [BulkRow] = []
        var slices = WorkSlices(exchange.loop)
        func take() async {
            for (row, outcome) in zip(waiting, await adjuster.apply(waiting, call)) {
                switch outcome {
                case .done: successful += 1
                case .failed(let problem): errors.add(RowError(row.index, problem))
                }
            }
            waiting = []
        }
        while let line = reader.next() {
            await slices.pauseIfLong()
            switch line {
            case .unfinished: continue
            case .bad(let line, let fault): errors.add(RowError(line, fault.problem))
            case .row(let line, let row):
                do throws(Problem) {
                    let adjustment = try Adjustment(ImportEndpoints.adjustment(row), named: true)
                    waiting.append(BulkRow(index: line, adjustment, bulk: id))
                } catch { errors.add(RowError(line, error)) }
                if waiting.count == ImportEndpoints.rowsAtOnce { await take() }
            }
        }
        await take()
        let answer = JSONValue.object([.init("successful", .int(successful))] + errors.members("line"))
        if let key { try await KeyClaims.end(key, status: 200, body: answer.text(), keys, redis) }
        exchange.reply(200, json: answer)
    }

    /// A line as an adjustment: `sku` names the product, what is there is set unless it says otherwise.
    private static func adjustment(_ row: JSONValue) -> JSONValue {
        guard case .object(var members) = row else { return row }
        if let sku = row["sku"], sku != .string("") {
            members = members.filter { $0.key != "sku" && $0.key != "productId" } + [.init("productId", sku)]
        }
        if row["type"] == nil { members.append(.init("type", .string("set"))) }
        return .object(members)
    }
}

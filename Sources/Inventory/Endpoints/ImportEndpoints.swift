import Digests
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
        var errors = Errors()
        var waiting: [(line: Int, row: JSONValue)] = []
        var skus: Set<String> = []
        func take() async {
            for (line, outcome) in zip(waiting.map(\.line), await importer.take(waiting.map(\.row))) {
                switch outcome {
                case .created: counts.created += 1
                case .updated: counts.updated += 1
                case .unchanged: counts.unchanged += 1
                case .failed(let problem): errors.add(line, problem)
                }
            }
            waiting = []
            skus = []
        }
        while let line = reader.next() {
            switch line.row {
            case .failure(let problem): errors.add(line.number, problem)
            case .success(let row):
                // Rows of one SKU are taken in their order.
                let sku = ProductImporter.sku(row) ?? ""
                if waiting.count == ImportEndpoints.rowsAtOnce || skus.contains(sku) { await take() }
                waiting.append((line.number, row))
                skus.insert(sku)
            }
        }
        await take()
        exchange.reply(
            200,
            json: .object(
                [
                    .init("created", .int(counts.created)), .init("updated", .int(counts.updated)),
                    .init("unchanged", .int(counts.unchanged)),
                ] + errors.members))
    }

    // MARK: Stock

    private func stock(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        var reader = try TableReader(
            exchange.body, TableFormat(exchange, ofBody: true), ImportEndpoints.stockColumns)
        try await KeyClaims.claim(key, adjuster.lanes.keys, adjuster.lanes.context.redis)
        let id = key?.name ?? RandomID.hex(bytes: StockID.digits / 2)
        var call = BulkAdjuster.Call(actor: caller.name)
        call.key = exchange.header("idempotency-key")?.string
        if key != nil { call.keptMs = IdempotencyKey.keptMs }
        var successful = 0
        var errors = Errors()
        var waiting: [BulkRow] = []
        func take() async {
            for (row, outcome) in zip(waiting, await adjuster.apply(waiting, call)) {
                switch outcome {
                case .done: successful += 1
                case .failed(let problem): errors.add(row.index, problem)
                }
            }
            waiting = []
        }
        while let line = reader.next() {
            do throws(Problem) {
                let adjustment = try Adjustment(ImportEndpoints.adjustment(line.row.get()), named: true)
                waiting.append(BulkRow(index: line.number, adjustment, bulk: id))
            } catch { errors.add(line.number, error) }
            if waiting.count == ImportEndpoints.rowsAtOnce { await take() }
        }
        await take()
        exchange.reply(200, json: .object([.init("successful", .int(successful))] + errors.members))
    }

    /// A line as an adjustment: `sku` names the product, what is there is set unless it says otherwise.
    private static func adjustment(_ row: JSONValue) -> JSONValue {
        guard case .object(var members) = row else { return row }
        if let sku = row["sku"] {
            members = members.filter { $0.key != "sku" && $0.key != "productId" } + [.init("productId", sku)]
        }
        if row["type"] == nil { members.append(.init("type", .string("set"))) }
        return .object(members)
    }
}

/// What was not taken of a file.
private struct Errors {
    private var count = 0
    private var list: [TableError] = []

    mutating func add(_ line: Int, _ problem: Problem) {
        count += 1
        if list.count < TableError.most { list.append(TableError(line: line, problem: problem)) }
    }

    var members: [JSONValue.Member] {
        let sorted = list.sorted { $0.line < $1.line }
        return [.init("failed", .int(count)), .init("errors", .array(sorted.map(\.json)))]
    }
}

import HTTP
import JSON
import Services

/// `/api/inventory/reorder` and `/placement`: what the ledger says of the days to come.
final class ReorderEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let products: ProductStore
    private let stock: StockReader
    private let ledger: LedgerReader
    private static let dayMs = 86_400_000
    private static let standardLeadTimeDays = 7

    init(lanes: StockLanes, catalogue: Catalogue, products: ProductStore) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.products = products
        stock = StockReader(lanes: lanes)
        ledger = LedgerReader(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/inventory/reorder", role: .read) { [unowned self] exchange, _ in
            try await reorder(exchange)
        }
        routes.on(.get, "/api/inventory/placement", role: .read) { [unowned self] exchange, _ in
            try await place(exchange)
        }
    }

    /// For `productId`, or for every product, a page at a time.
    private func reorder(_ exchange: Exchange) async throws {
        let days = try ReorderEndpoints.days(exchange)
        if let name = exchange.queryItem("productId") {
            let sku = try await catalogue.sku(name)
            guard let row = try await advice(sku, days) else { throw Catalogue.unknown(name) }
            return exchange.reply(200, json: .array([row]))
        }
        let page = try Page(exchange)
        let names = try await products.names(after: try page.place { SKU($0) }?.text, limit: page.limit)
        var rows: [JSONValue] = []
        for sku in names.compactMap({ SKU($0) }) {
            if let row = try await advice(sku, days) { rows.append(row) }
        }
        exchange.beginReply(200)
        if names.count == page.limit, let last = names.last {
            page.addNextLink(last, to: exchange, keeping: ["days"])
        }
        exchange.finishReply(contentType: "application/json") { JSONValue.array(rows).write(to: $0) }
    }

    private func advice(_ sku: SKU, _ days: Int) async throws -> JSONValue? {
        guard let product = try await products.find(sku), let levels = try await stock.read(sku) else { return nil }
        let byWarehouse = try await demand(sku, days)
        var daily = [Double](repeating: 0, count: days)
        for series in byWarehouse.values { for i in daily.indices { daily[i] += series[i] } }
        // Days before the first one with any demand say nothing of the product.
        let known = Demand(daily: Array(daily.drop { $0 == 0 }))
        let position = levels.byWarehouse.values.reduce(0) { $0 + $1.available + $1.inTransit }
        let leadTimeDays = product.leadTimeDays ?? ReorderEndpoints.standardLeadTimeDays
        var members: [JSONValue.Member] = [
            .init("productId", .string(product.id)), .init("sku", .string(sku.text)), .init("days", .int(days)),
            .init("daysWithHistory", .int(known.daily.count)), .init("leadTimeDays", .int(leadTimeDays)),
            .init("availableAndInTransit", .int(position)),
        ]
        guard let forecast = known.forecast() else {
            members += [
                .init("forecastPerDay", .null), .init("shouldReorder", .bool(position <= product.minStockLevel)),
            ]
            return .object(members)
        }
        let point = max(
            product.minStockLevel,
            Demand.reorderPoint(forecast, leadTimeDays: leadTimeDays, safetyStock: product.safetyStock))
        let isDue = position <= point
        members += [
            .init("method", .string("simple exponential smoothing, alpha \(Demand.smoothing)")),
            .init("forecastPerDay", .double(forecast.perDay)),
            .init("meanAbsoluteError", .double(forecast.meanAbsoluteError)),
            .init("meanAbsolutePercentageError", forecast.meanAbsolutePercentageError.map { .double($0) } ?? .null),
            .init("reorderPoint", .int(point)), .init("shouldReorder", .bool(isDue)),
            .init("suggestedQuantity", .int(isDue ? max(0, max(product.maxStockLevel, point) - position) : 0)),
        ]
        return .object(members)
    }

    private func place(_ exchange: Exchange) async throws {
        let days = try ReorderEndpoints.days(exchange)
        let name = try exchange.queryItem("productId").required("productId")
        let sku = try await catalogue.sku(name)
        guard let levels = try await stock.read(sku) else { throw Catalogue.unknown(name) }
        let demand = try await demand(sku, days)
        let warehouses = Set(levels.byWarehouse.keys).union(demand.keys).sorted()
        let places = warehouses.map { warehouse in
            Placement.Place(
                warehouse: warehouse, available: levels.byWarehouse[warehouse]?.available ?? 0,
                demand: (demand[warehouse] ?? []).reduce(0, +) / Double(days))
        }
        exchange.reply(
            200,
            json: .object([
                .init("sku", .string(sku.text)), .init("days", .int(days)),
                .init(
                    "warehouses",
                    .array(
                        places.map {
                            .object([
                                .init("warehouseId", .string($0.warehouse)), .init("available", .int($0.available)),
                                .init("demandPerDay", .double($0.demand)),
                                .init("daysOfCover", $0.daysOfCover.map { .double($0) } ?? .null),
                            ])
                        })),
                .init(
                    "transfers",
                    .array(
                        Placement.moves(places).map {
                            .object([
                                .init("fromWarehouseId", .string($0.from)), .init("toWarehouseId", .string($0.to)),
                                .init("quantity", .int($0.quantity)),
                            ])
                        })),
            ]))
    }

    /// Units that left for customers, by warehouse and day (the last `days` times 24 hours), oldest first: confirmed
    /// reservations and what was subtracted by hand; counts, write-offs and transfers are none.
    private func demand(_ sku: SKU, _ days: Int) async throws -> [String: [Double]] {
        let startMs = try await lanes.nowMs(of: lanes.keys.ledger(sku)) - days * ReorderEndpoints.dayMs
        var demand: [String: [Double]] = [:]
        try await ledger.forEach(sku, sinceMs: startMs) { entry in
            guard entry.type == "confirm" || entry.type == "adjust", entry.change.quantity < 0 else { return }
            let day = min(days - 1, (entry.atMs - startMs) / ReorderEndpoints.dayMs)
            demand[entry.warehouse, default: [Double](repeating: 0, count: days)][day] -= Double(entry.change.quantity)
        }
        return demand
    }

    private static func days(_ exchange: Exchange) throws(Problem) -> Int {
        guard let text = exchange.queryItem("days") else { return 28 }
        guard let days = Int(text), (1...400).contains(days) else { throw .field("days", "must be from 1 to 400") }
        return days
    }
}

import Bytes
import HTTP
import JSON
import Services

/// `/api/inventory/{id}/ledger` and `/api/inventory/reconcile`: every change there was, and whether all adds up.
final class LedgerEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let products: ProductStore
    private let ledger: LedgerReader
    private let reconciler: Reconciler
    private static let mostProducts = 1000

    init(lanes: StockLanes, catalogue: Catalogue, products: ProductStore) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.products = products
        ledger = LedgerReader(lanes: lanes)
        reconciler = Reconciler(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/inventory/{id}/ledger", role: .read) { [unowned self] exchange, _ in
            let name = exchange.parameter(0)
            let sku = try await catalogue.sku(name)
            guard try await products.find(sku) != nil else { throw Catalogue.unknown(name) }
            if exchange.queryItem("replay") == "true" { return try await replay(sku, exchange) }
            try await list(sku, exchange)
        }
        routes.on(.post, "/api/inventory/reconcile", role: .admin) { [unowned self] exchange, caller in
            try await reconcile(exchange, caller)
        }
    }

    /// Newest first; `warehouseId`, `from` and `to` choose among them.
    private func list(_ sku: SKU, _ exchange: Exchange) async throws {
        let page = try Page(exchange)
        let from = try LedgerEndpoints.time(exchange, "from")
        let to = try LedgerEndpoints.time(exchange, "to")
        let warehouse = exchange.queryItem("warehouseId")
        let end = try page.place(StreamID.ofEntry).map { "(\($0)" } ?? to.map { String($0) } ?? "+"
        let entries = try await ledger.page(sku, from: from, to: end, limit: page.limit)
        exchange.beginReply(200)
        if entries.count == page.limit, let last = entries.last {
            page.addNextLink(last.id, to: exchange, keeping: ["warehouseId", "from"])
        }
        let chosen = entries.filter { warehouse == nil || $0.warehouse == warehouse }
        exchange.finishReply(contentType: "application/json") { body in
            JSONValue.array(chosen.map { $0.json(sku) }).write(to: body)
        }
    }

    /// Counters as the ledger has them beside those that are kept.
    private func replay(_ sku: SKU, _ exchange: Exchange) async throws {
        let replayed = try await ledger.replay(sku)
        let key = lanes.keys.stock(sku)
        let words = try await lanes.context.redis.send(["HGETALL", key], key: key, budgetUs: 2_000_000).strings ?? []
        let counters = ProductStock(words).byWarehouse
        let warehouses = Set(replayed.keys).union(counters.keys).sorted()
        let rows = warehouses.map { warehouse -> JSONValue in
            let (ledger, kept) = (replayed[warehouse] ?? StockLevels(), counters[warehouse] ?? StockLevels())
            return .object([
                .init("warehouseId", .string(warehouse)), .init("ledger", ledger.json), .init("counters", kept.json),
                .init("agrees", .bool(ledger == kept)),
            ])
        }
        exchange.reply(200, json: .object([.init("sku", .string(sku.text)), .init("warehouses", .array(rows))]))
    }

    /// `productId` for one product; else a part of all, 1000 at a time: `cursor` in the answer says where to go on.
    private func reconcile(_ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try exchange.body.isEmpty ? Fields(.object([])) : Fields(exchange.jsonBody())
        let product = try fields.string("productId", max: 64)
        let repairs = try fields.bool("repair") ?? false
        let cursor = try fields.string("cursor", max: 64)
        try fields.finish()
        var names: [SKU]
        var next: String?
        if let product {
            names = [try await catalogue.sku(product)]
        } else {
            let texts = try await products.names(after: cursor, limit: LedgerEndpoints.mostProducts)
            names = texts.compactMap { SKU($0) }
            if texts.count == LedgerEndpoints.mostProducts { next = texts.last }
        }
        var checked = 0
        var rows: [JSONValue] = []
        for sku in names {
            guard let drifts = try await reconciler.reconcile(sku, repairs: repairs, actor: caller.name) else {
                if product != nil { throw Catalogue.unknown(sku.text) }
                continue
            }
            checked += 1
            for drift in drifts { rows.append(LedgerEndpoints.json(drift, sku, isRepaired: repairs)) }
        }
        var members: [JSONValue.Member] = [
            .init("checked", .int(checked)), .init("drifts", .int(rows.count)), .init("drift", .array(rows)),
        ]
        if let next { members.append(.init("cursor", .string(next))) }
        exchange.reply(200, json: .object(members))
    }

    private static func json(_ drift: Reconciler.Drift, _ sku: SKU, isRepaired: Bool) -> JSONValue {
        .object([
            .init("sku", .string(sku.text)), .init("warehouseId", .string(drift.warehouse)),
            .init("counters", drift.counters.json), .init("ledger", drift.ledger.json),
            .init("expected", drift.expected.json), .init("repaired", .bool(isRepaired)),
        ])
    }

    private static func time(_ exchange: Exchange, _ name: StaticString) throws -> Int? {
        guard let text = exchange.queryItem(name) else { return nil }
        guard let time = text.withByteView({ Timestamp(rfc3339: $0) }) else {
            throw Problem.field("\(name)", "must be a time such as 2026-11-23T10:00:00Z, with its offset")
        }
        return Int(time.us / 1000)
    }
}

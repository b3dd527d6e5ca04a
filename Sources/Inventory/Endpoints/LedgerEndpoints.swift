import Bytes
import EventLoops
import HTTP
import JSON
import Services

/// `/api/inventory/{id}/ledger`: every change there was.
final class LedgerEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let products: ProductStore
    private let ledger: LedgerReader

    init(lanes: StockLanes, catalogue: Catalogue, products: ProductStore) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.products = products
        ledger = LedgerReader(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/inventory/{id}/ledger", role: .read) { [unowned self] exchange, _ in
            let name = exchange.parameter(0)
            let sku = try await catalogue.sku(name)
            guard try await products.find(sku) != nil else { throw Catalogue.unknown(name) }
            if exchange.queryItem("replay") == "true" { return try await replay(sku, exchange) }
            try await list(sku, exchange)
        }
    }

    /// Newest first; `warehouseId`, `from` and `to` choose among them.
    private func list(_ sku: SKU, _ exchange: Exchange) async throws {
        let page = try Page(exchange)
        let from = try LedgerEndpoints.time(exchange, "from")
        let to = try LedgerEndpoints.time(exchange, "to")
        let warehouse = exchange.queryItem("warehouseId")
        let end = try page.newestEntry(to.map { String($0) } ?? "+")
        // Nothing is from before 1970, and Redis knows no such time.
        let entries =
            to ?? 0 < 0
            ? [] : try await ledger.page(sku, from: from.map { max(0, $0) }, to: end, limit: page.limit)
        let list = JSONList()
        var slices = WorkSlices(exchange.loop)
        var read = 0
        while read < entries.count, !list.isFull {
            let entry = entries[read]
            if warehouse == nil || entry.warehouse == warehouse { list.append(entry.json(sku)) }
            read += 1
            await slices.pauseIfLong()
        }
        exchange.beginReply(200)
        if read > 0, read < entries.count || entries.count == page.limit {
            page.addNextLink(entries[read - 1].id, to: exchange, keeping: ["warehouseId", "from"])
        }
        exchange.finishReply(contentType: "application/json") { $0.append(list.end()) }
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

    private static func time(_ exchange: Exchange, _ name: StaticString) throws -> Int? {
        guard let text = exchange.queryItem(name) else { return nil }
        guard let time = text.withByteView({ Timestamp(rfc3339: $0) }) else {
            throw Problem.field("\(name)", "must be a time such as 2026-11-23T10:00:00Z, with its offset")
        }
        return Int(time.us / 1000)
    }
}

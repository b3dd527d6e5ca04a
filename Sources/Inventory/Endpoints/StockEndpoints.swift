import Digests
import HTTP
import JSON
import Services

/// `/api/inventory/…`: what there is, and changing it.
final class StockEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses: Warehouses
    private let products: ProductStore
    private let reader: StockReader

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses, products: ProductStore) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.warehouses = warehouses
        self.products = products
        reader = StockReader(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/inventory/{id}", role: .read) { [unowned self] exchange, _ in try await show(exchange) }
        routes.on(.post, "/api/inventory/{id}/adjust", role: .stock) { [unowned self] exchange, caller in
            try await adjust(exchange, caller)
        }
    }

    private func show(_ exchange: Exchange) async throws {
        let name = exchange.parameter(0)
        let sku = try await catalogue.sku(name)
        guard let stock = try await reader.read(sku), let product = try await products.find(sku) else {
            throw Catalogue.unknown(name)
        }
        if let id = exchange.queryItem("warehouseId") {
            let warehouse = try await warehouses.require(id)
            let levels = stock.byWarehouse[id] ?? StockLevels()
            return exchange.reply(
                200,
                json: .object(
                    InventoryJSON.members(
                        levels, sku: sku, productID: stock.productID, warehouse: id, place: warehouse)))
        }
        var rows: [JSONValue] = []
        var totals = StockLevels()
        // Stock in a warehouse that is not listed any more is stock all the same.
        let others = stock.byWarehouse.keys.filter { warehouses.set.byID[$0] == nil }.sorted()
        for id in warehouses.set.byPriority.map(\.id) + others {
            let levels = stock.byWarehouse[id] ?? StockLevels()
            totals.quantity = totals.quantity.plus(levels.quantity)
            totals.reserved = totals.reserved.plus(levels.reserved)
            rows.append(
                .object(
                    InventoryJSON.members(
                        levels, sku: sku, productID: stock.productID, warehouse: id, place: warehouses.set.byID[id])))
        }
        exchange.reply(
            200,
            json: .object([
                .init("product", product.json), .init("inventory", .array(rows)),
                .init(
                    "totals",
                    .object([
                        .init("totalQuantity", .int(totals.quantity)), .init("totalReserved", .int(totals.reserved)),
                        .init("totalAvailable", .int(totals.available)),
                    ])),
            ]))
    }

    private func adjust(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        let keyText = exchange.header("idempotency-key")?.string
        let adjustment = try Adjustment(exchange.jsonBody())
        let sku = try await catalogue.sku(exchange.parameter(0))
        let warehouse = try await warehouses.require(adjustment.warehouse)
        try warehouse.mayTake(adjustment)
        let suffix = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let request = key.map { String($0.bodyDigest.prefix(16)) }
        let reply = try await lanes.perform(
            adjustment.operation(
                id: suffix, actor: caller.name, key: keyText, request: request,
                keptMs: key == nil ? 60_000 : IdempotencyKey.keptMs), on: sku)
        let id = StockID(sku: sku, suffix: suffix)
        if reply.word == "below" { return StockEndpoints.replyBelow(reply, to: exchange) }
        let result = try adjustment.result(of: reply, sku: sku, request: request)
        exchange.reply(
            200, json: .object(adjustment.members(result, id: id, sku: sku, productID: reply.productID)))
    }

    /// More than is free was to be taken: what there is, and what of it is spoken for.
    private static func replyBelow(_ reply: StockReply, to exchange: Exchange) {
        let detail = "of \(reply.int(0)) there, \(reply.int(1)) are reserved: fewer can't be left"
        exchange.beginReply(409)
        exchange.addHeader("Cache-Control", "no-store")
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            ProblemReply.writeFields(Problem(.conflict, detail, field: "quantity"), to: &json)
            json.field("quantity", reply.int(0))
            json.field("reserved", reply.int(1))
            json.endObject()
        }
    }
}

extension Warehouse {
    /// Refuses to add where nothing is received.
    func mayTake(_ adjustment: Adjustment) throws(Problem) {
        if adjustment.kind == .add, !mayReceive {
            throw Problem(.conflict, "\(id) receives nothing", field: "warehouseId")
        }
    }
}

import Digests
import HTTP
import JSON
import Services

/// `/api/counts` and write-offs: what was found to be there, and what is lost.
final class CountEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses: Warehouses
    private let short: ShortHolds
    /// Holds that an answer lists.
    private static let mostListed = 100

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.warehouses = warehouses
        short = ShortHolds(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/counts", role: .stock) { [unowned self] exchange, caller in
            var fields = try Fields(exchange.jsonBody())
            let product = try fields.string("productId", max: 64).required("productId")
            let warehouse = try fields.string("warehouseId", max: 64).required("warehouseId")
            let counted = try fields.int("counted", in: 0...ReservationDraft.largestQuantity).required("counted")
            let reason = try fields.optionalString("reason")
            let force = try fields.bool("force") ?? false
            try fields.finish()
            let change = Change(
                kind: "count", type: "set", warehouse: warehouse, quantity: counted, reason: reason, force: force)
            try await apply(change, product, exchange, caller)
        }
        routes.on(.post, "/api/inventory/{id}/write-off", role: .stock) { [unowned self] exchange, caller in
            let product = exchange.parameter(0)
            var fields = try Fields(exchange.jsonBody())
            let warehouse = try fields.string("warehouseId", max: 64).required("warehouseId")
            let quantity = try fields.int("quantity", in: 1...ReservationDraft.largestQuantity).required("quantity")
            let reason = try fields.string("reason").required("reason")
            let force = try fields.bool("force") ?? false
            try fields.finish()
            let change = Change(
                kind: "write-off", type: "subtract", warehouse: warehouse, quantity: quantity, reason: reason,
                force: force)
            try await apply(change, product, exchange, caller)
        }
    }

    private struct Change {
        var kind: String
        var type: String
        var warehouse: String
        var quantity: Int
        var reason: String?
        /// Also where less is left than is reserved.
        var force: Bool
    }

    private func apply(_ change: Change, _ product: String, _ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        let sku = try await catalogue.sku(product)
        _ = try await warehouses.require(change.warehouse)
        let suffix = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let request = key.map { String($0.bodyDigest.prefix(16)) }
        var members: [JSONValue.Member] = [
            .init("op", .string("adjust")), .init("id", .string(suffix)), .init("w", .string(change.warehouse)),
            .init("type", .string(change.type)), .init("n", .int(change.quantity)), .init("kind", .string(change.kind)),
            .init("actor", .string(caller.name)),
            .init("keepMs", .int(key == nil ? 60_000 : IdempotencyKey.keptMs)),
        ]
        if change.force { members.append(.init("force", .bool(true))) }
        if let reason = change.reason { members.append(.init("reason", .string(reason))) }
        if let request { members.append(.init("request", .string(request))) }
        if let key = exchange.header("idempotency-key") { members.append(.init("key", .string(key.string))) }
        let reply = try await lanes.perform(.object(members), on: sku)
        switch reply.word {
        case "adjusted", "existing":
            guard let result = AdjustmentResult(reply.rest.first ?? "") else { break }
            guard result.request == request ?? "-" else {
                throw Problem.impossible("Idempotency-Key", "was used before with another body")
            }
            var answer: [JSONValue.Member] = [
                .init("id", .string(StockID(sku: sku, suffix: suffix).description)),
                .init("type", .string(change.kind)), .init("previousQuantity", .int(result.previous)),
                .init("difference", .int(result.levels.quantity - result.previous)),
                .init("timestamp", .string(HoldJSON.time(result.atMs).rfc3339)),
                .init(
                    "newInventory",
                    .object(
                        InventoryJSON.members(
                            result.levels, sku: sku, productID: reply.productID, warehouse: change.warehouse))),
            ]
            if change.force {
                let rows =
                    result.levels.available < 0
                    ? try await short.find(sku, in: change.warehouse, there: result.levels.quantity) : []
                answer += [
                    .init("shortHolds", .array(rows.prefix(CountEndpoints.mostListed).map(\.json))),
                    .init("shortHoldsCount", .int(rows.count)),
                ]
            }
            return exchange.reply(201, json: .object(answer))
        case "below":
            let (there, reserved) = (reply.int(0), reply.int(1))
            let detail =
                change.quantity > there && change.type == "subtract"
                ? "there are \(there)"
                : "of \(there) there, \(reserved) are reserved: cancel reservations first, or say \"force\": true"
            throw Problem(
                .conflict, detail,
                field: change.kind == "count" ? "counted" : "quantity")
        case "unknown": throw Catalogue.unknown(product)
        default: break
        }
        throw Problem(.internalError, "the stock gave an answer that does not belong here")
    }
}

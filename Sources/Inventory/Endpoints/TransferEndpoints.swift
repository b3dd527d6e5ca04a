import Digests
import HTTP
import JSON
import Redis
import Services

/// `/api/transfers`: moving stock between warehouses. What is on its way is counted where it goes to, so the sum of
/// quantity and in transit over both never changes.
final class TransferEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses: Warehouses
    private static let budgetUs: Int64 = 2_000_000
    /// Longer than an ended transfer is kept.
    private static let listedMs = 90 * 86_400_000

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.warehouses = warehouses
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/transfers", role: .admin) { [unowned self] exchange, caller in
            try await create(exchange, caller)
        }
        routes.on(.get, "/api/transfers", role: .read) { [unowned self] exchange, _ in try await list(exchange) }
        routes.on(.get, "/api/transfers/{id}", role: .read) { [unowned self] exchange, _ in
            let (id, sku) = try TransferEndpoints.id(exchange)
            guard let transfer = try await find(id, sku) else { throw TransferEndpoints.missing(id) }
            exchange.reply(200, json: transfer.json(productID: try await productID(sku)))
        }
        for (word, status) in [("ship", Transfer.Status.inTransit), ("receive", .received), ("cancel", .cancelled)] {
            routes.on(.put, "/api/transfers/{id}/\(word)", role: .admin) { [unowned self] exchange, caller in
                try await move(exchange, caller, to: status)
            }
        }
    }

    private func create(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        let keyText = exchange.header("idempotency-key")?.string
        var fields = try Fields(exchange.jsonBody())
        let product = try fields.string("productId", max: 64).required("productId")
        let from = try fields.string("fromWarehouseId", max: 64).required("fromWarehouseId")
        let to = try fields.string("toWarehouseId", max: 64).required("toWarehouseId")
        let quantity = try fields.int("quantity", in: 1...ReservationDraft.largestQuantity).required("quantity")
        let reason = try fields.string("reason")
        try fields.finish()
        if from == to { throw Problem.field("toWarehouseId", "must be another warehouse") }
        let sku = try await catalogue.sku(product)
        guard try await warehouses.require(from).mayShip else {
            throw Problem(.conflict, "\(from) ships nothing", field: "fromWarehouseId")
        }
        guard try await warehouses.require(to).mayReceive else {
            throw Problem(.conflict, "\(to) receives nothing", field: "toWarehouseId")
        }
        let suffix = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let request = key.map { String($0.bodyDigest.prefix(16)) }
        var operation: [JSONValue.Member] = [
            .init("op", .string("transfer")), .init("id", .string(suffix)), .init("from", .string(from)),
            .init("to", .string(to)), .init("n", .int(quantity)), .init("actor", .string(caller.name)),
        ]
        if let reason { operation.append(.init("reason", .string(reason))) }
        if let request { operation.append(.init("request", .string(request))) }
        if let keyText { operation.append(.init("key", .string(keyText))) }
        let id = StockID(sku: sku, suffix: suffix)
        try await list(id)
        let reply = try await lanes.perform(.object(operation), on: sku)
        switch reply.word {
        case "held", "existing":
            guard let transfer = Transfer(reply.fields, sku: sku, suffix: suffix) else { break }
            guard transfer.request == request else {
                throw Problem.impossible("Idempotency-Key", "was used before with another body")
            }
            return exchange.reply(201, json: transfer.json(productID: reply.productID))
        case "short":
            throw Problem(.conflict, "only \(reply.int(0)) are available in \(from)", field: "quantity")
        case "unknown": throw Catalogue.unknown(product)
        default: break
        }
        throw Problem(.internalError, "the stock gave an answer that does not belong here")
    }

    private func move(_ exchange: Exchange, _ caller: Caller, to status: Transfer.Status) async throws {
        let (id, sku) = try TransferEndpoints.id(exchange)
        var operation: [JSONValue.Member] = [
            .init("op", .string("move")), .init("id", .string(id.suffix)), .init("to", .string(status.rawValue)),
            .init("actor", .string(caller.name)),
        ]
        if !exchange.body.isEmpty {
            var fields = try Fields(exchange.jsonBody())
            if status == .received, let n = try fields.int("quantity", in: 0...ReservationDraft.largestQuantity) {
                operation.append(.init("n", .int(n)))
            }
            if let reason = try fields.string("reason") { operation.append(.init("reason", .string(reason))) }
            try fields.finish()
        }
        let reply = try await lanes.perform(.object(operation), on: sku, drains: status == .cancelled)
        switch reply.word {
        case "done", "same":
            guard let transfer = Transfer(reply.fields, sku: sku, suffix: id.suffix) else { break }
            return exchange.reply(200, json: transfer.json(productID: reply.productID))
        case "state": throw Problem(.conflict, "the transfer is \(reply.fields["status"] ?? "")")
        case "more": throw Problem(.conflict, "the transfer is of \(reply.int(0))", field: "quantity")
        case "missing", "unknown": throw TransferEndpoints.missing(id)
        default: break
        }
        throw Problem(.internalError, "the stock gave an answer that does not belong here")
    }

    // MARK: Lists

    /// Writes a transfer's name where lists find it, before there is one.
    private func list(_ id: StockID) async throws {
        let key = lanes.keys.transfers
        let nowMs = try await lanes.nowMs(of: key)
        _ = try await send(["ZADD", key, String(nowMs), id.description], key)
        _ = try await send(["ZREMRANGEBYSCORE", key, "-inf", String(nowMs - TransferEndpoints.listedMs)], key)
    }

    /// Newest first; `productId` and `status` choose among them.
    private func list(_ exchange: Exchange) async throws {
        let page = try Page(exchange)
        var wanted: SKU?
        if let product = exchange.queryItem("productId") { wanted = try await catalogue.sku(product) }
        var status: Transfer.Status?
        if let text = exchange.queryItem("status") {
            guard let known = Transfer.Status(rawValue: text) else {
                let words = Transfer.Status.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.field("status", "must be one of \(words)")
            }
            status = known
        }
        let start = try page.place(ListOffset.init)?.value ?? 0
        let key = lanes.keys.transfers
        let names =
            try await send(["ZREVRANGE", key, String(start), String(start + page.limit - 1)], key).strings ?? []
        var found: [JSONValue] = []
        for id in names.compactMap({ StockID($0) }) {
            guard let sku = id.sku, wanted == nil || sku == wanted, let transfer = try await find(id, sku),
                status == nil || transfer.status == status
            else { continue }
            found.append(transfer.json(productID: try await productID(sku)))
        }
        exchange.beginReply(200)
        if names.count == page.limit {
            page.addNextLink(String(start + names.count), to: exchange, keeping: ["productId", "status"])
        }
        exchange.finishReply(contentType: "application/json") { JSONValue.array(found).write(to: $0) }
    }

    private func find(_ id: StockID, _ sku: SKU) async throws -> Transfer? {
        let key = lanes.keys.transfer(sku, id.suffix)
        let words = try await send(["HGETALL", key], key).strings ?? []
        let reply = StockReply(nowMs: 0, productID: "", word: "", rest: words)
        return Transfer(reply.fields, sku: sku, suffix: id.suffix)
    }

    private func productID(_ sku: SKU) async throws -> String {
        let key = lanes.keys.stock(sku)
        return try await send(["HGET", key, "product"], key).string ?? ""
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await lanes.context.redis.send(words, key: key, budgetUs: TransferEndpoints.budgetUs)
    }

    private static func id(_ exchange: Exchange) throws(Problem) -> (StockID, SKU) {
        let text = exchange.parameter(0)
        guard let id = StockID(text), let sku = id.sku else {
            throw Problem(.notFound, "there is no transfer \(text.prefix(100))")
        }
        return (id, sku)
    }

    private static func missing(_ id: StockID) -> Problem { Problem(.notFound, "there is no transfer \(id)") }
}

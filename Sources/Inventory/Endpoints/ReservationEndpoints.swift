import Bytes
import Digests
import HTTP
import JSON
import Services

/// `/api/reservations`: holding stock of one product, and what becomes of the hold.
final class ReservationEndpoints {
    let lanes: StockLanes
    private let catalogue: Catalogue
    let warehouses: Warehouses
    private let reader: HoldReader
    let orders: OrderReservations

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.warehouses = warehouses
        reader = HoldReader(lanes: lanes)
        orders = OrderReservations(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
    }

    func add(to routes: Routes) {
        routes.immediate(.post, "/api/reservations", role: .sell) { [unowned self] exchange, caller in
            try create(exchange, caller)
        }
        routes.on(.get, "/api/reservations", role: .read) { [unowned self] exchange, _ in try await list(exchange) }
        routes.on(.get, "/api/reservations/{id}", role: .read) { [unowned self] exchange, _ in
            let id = try ReservationEndpoints.id(exchange)
            guard let sku = id.sku else { return try await orders.show(id, exchange) }
            guard let (hold, productID) = try await reader.read(sku, id.suffix) else {
                throw ReservationEndpoints.missing(id)
            }
            ReservationEndpoints.reply(200, hold, sku, productID, to: exchange)
        }
        for (path, step) in [
            ("/api/reservations/{id}/confirm", StockStep.confirm), ("/api/reservations/{id}/cancel", StockStep.cancel),
        ] {
            routes.immediate(.put, path, role: .sell) { [unowned self] exchange, caller in
                try end(exchange, caller, step)
            }
        }
        routes.on(.put, "/api/reservations/{id}", role: .sell) { [unowned self] exchange, caller in
            try await resize(exchange, caller)
        }
        routes.on(.put, "/api/reservations/{id}/extend", role: .sell) { [unowned self] exchange, caller in
            try await extend(exchange, caller)
        }
    }

    // MARK: Making

    private func create(_ exchange: Exchange, _ caller: Caller) throws {
        try exchange.requireJSON()
        let draft: ReservationDraft
        switch try ReservationParser.parse(exchange.body) {
        case .product(let product): draft = product
        case .lines: return later(exchange) { [self] in try await orders.create(exchange, caller) }
        }
        let key = try IdempotencyKey(exchange, caller: caller)
        var step = ReserveStep(suffix: "", wants: [])
        step.suffix = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        step.orderID = draft.orderID
        step.end = draft.end
        step.priority = draft.priority
        step.request = key.map { String($0.bodyDigest.prefix(16)) }
        step.waitsForStock = draft.waitsForStock
        step.waitMs = draft.waitMs
        step.replaces = draft.replaces.map(\.suffix)
        step.actor = caller.name
        step.key = exchange.header("idempotency-key")?.string
        // Nearly always all of it is known here already.
        if draft.durability == .memory, let sku = catalogue.known(draft.product),
            let wants = try wants(draft, warehouses.set)
        {
            step.wants = [wants]
            step.kept = kept(wants, step.priority)
            try ReservationEndpoints.check(draft.replaces, sku)
            return submit(step, sku, exchange)
        }
        later(exchange) { [self] in
            let sku = try await catalogue.sku(draft.product)
            if case .warehouse(let id) = draft.source { _ = try await warehouses.require(id) }
            try ReservationEndpoints.check(draft.replaces, sku)
            guard let wants = try wants(draft, warehouses.set) else { throw Catalogue.unknown(draft.product) }
            step.wants = [wants]
            step.kept = kept(wants, step.priority)
            if draft.durability == .memory { return submit(step, sku, exchange) }
            let effect = lanes.keys.durable(sku, step.suffix)
            let promise = try await draft.durability.prepare([effect], in: lanes.context)
            let answer = await lanes.perform(.reserve(step), on: sku)
            // Also for a repeated request: the first one may not have been told that it is safe.
            if answer.isThere { try await promise.confirm() }
            try ReservationEndpoints.replyMade(answer, step, sku, to: exchange)
        }
    }

    /// What is replaced is given back in the same step, so it must be of the same product.
    private static func check(_ replaced: [StockID], _ sku: SKU) throws {
        for (i, id) in replaced.enumerated() where id.sku != sku {
            throw Problem.field("replaces[\(i)]", "must be the id of a reservation of \(sku)")
        }
    }

    /// Goes on after what has to be looked up.
    func later(_ exchange: Exchange, _ body: @escaping () async throws -> Void) {
        let log = lanes.context.log
        exchange.loop.spawn {
            do { try await body() } catch { ProblemReply.send(error, to: exchange, log: log) }
        }
    }

    /// nil while the warehouse is not known.
    private func wants(_ draft: ReservationDraft, _ set: WarehouseSet) throws -> ReserveStep.Want? {
        switch draft.source {
        case .warehouse(let id):
            guard let warehouse = set.byID[id] else { return nil }
            guard warehouse.mayReserve else {
                throw Problem(.conflict, "nothing may be reserved in \(id)", field: "warehouseId")
            }
            return ReserveStep.Want(from: [id], quantity: draft.quantity)
        case .any(let order):
            return ReserveStep.Want(from: set.candidates(order).map(\.id), quantity: draft.quantity)
        case .split(let order):
            return ReserveStep.Want(from: set.candidates(order).map(\.id), quantity: draft.quantity, split: true)
        }
    }

    private func kept(_ want: ReserveStep.Want, _ priority: Int) -> [String: Int] {
        guard priority == 0, warehouses.set.keepsAnything else { return [:] }
        return warehouses.set.kept(in: Set(want.from))
    }

    private func submit(_ step: ReserveStep, _ sku: SKU, _ exchange: Exchange) {
        let log = lanes.context.log
        lanes.submit(.reserve(step), on: sku) { answer in
            do { try ReservationEndpoints.replyMade(answer, step, sku, to: exchange) } catch {
                ProblemReply.send(error, to: exchange, log: log)
            }
        }
    }

    private static func replyMade(
        _ answer: StockAnswer, _ step: ReserveStep, _ sku: SKU, to exchange: Exchange
    ) throws {
        switch answer {
        case .held(let hold, let productID):
            reply(hold.status == .waiting ? 202 : 201, hold, sku, productID, to: exchange)
        case .existing(let hold, let productID):
            guard hold.request == step.request else {
                throw Problem.impossible("Idempotency-Key", "was used before with another body")
            }
            let made = hold.asMade
            reply(made.status == .waiting ? 202 : 201, made, sku, productID, to: exchange)
        case .short(let available):
            replyShort(available, step.wants.reduce(0) { $0 + $1.quantity }, to: exchange)
        case .past: throw Problem.field("expiresAt", "has passed")
        case .far: throw Problem.field("expiresAt", "must be at most 30 days away")
        case .other(let reply) where reply.word == "replaced" && reply.rest.count == 2:
            let id = StockID(sku: sku, suffix: reply.rest[0])
            switch reply.rest[1] {
            case "missing": throw Problem(.conflict, "there is no reservation \(id)", field: "replaces")
            case "line":
                throw Problem(.conflict, "\(id) is a line of a reservation over several products", field: "replaces")
            default: throw Problem(.conflict, "the reservation \(id) is \(reply.rest[1])", field: "replaces")
            }
        case .unknown: throw Catalogue.unknown(sku.text)
        case .failed(let error): throw error
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    static func replyShort(_ available: Int, _ requested: Int, to exchange: Exchange) {
        exchange.beginReply(409)
        exchange.addHeader("Cache-Control", "no-store")
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            ProblemReply.writeFields(Problem(.conflict, "Insufficient inventory"), to: &json)
            json.field("available", available)
            json.field("requested", requested)
            json.endObject()
        }
    }

    // MARK: Reading

    private func list(_ exchange: Exchange) async throws {
        guard let order = exchange.queryItem("orderId"), !order.isEmpty else {
            throw Problem.field("orderId", "is required")
        }
        let page = try Page(exchange)
        let last = try page.place { StockID($0) }?.description
        let all = try await reader.ids(ofOrder: order).filter { id in
            last.map { id.description > $0 } ?? true
        }.sorted { $0.description < $1.description }
        let ids = Array(all.prefix(page.limit))
        let holds = try await reader.holds(ids, ofOrder: order)
        let wholes = try await inParts(ids.filter { $0.sku == nil }, of: 20, on: exchange.loop) { [orders] id in
            try await orders.find(id)
        }.compactMap { $0 }.filter { $0.orderID == order }
        exchange.beginReply(200)
        if all.count > ids.count, let last = ids.last {
            page.addNextLink(last.description, to: exchange, keeping: ["orderId"])
        }
        exchange.finishReply(contentType: "application/json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            json.beginArray("reservations")
            for whole in wholes { OrderReservations.write(whole, to: &json) }
            for (sku, hold, productID) in holds { HoldJSON.write(hold, sku: sku, productID: productID, to: &json) }
            json.endArray()
            json.endObject()
        }
    }

    // MARK: What they share

    static func id(_ exchange: Exchange) throws -> StockID {
        let text = exchange.parameter(0)
        guard let id = StockID(text) else {
            throw Problem(.notFound, "there is no reservation \(text.prefix(100))")
        }
        return id
    }

    static func missing(_ id: StockID) -> Problem { Problem(.notFound, "there is no reservation \(id)") }

    static func reply(_ status: Int, _ hold: Hold, _ sku: SKU, _ productID: String, to exchange: Exchange) {
        exchange.reply(status) { HoldJSON.write(hold, sku: sku, productID: productID, to: &$0) }
    }
}

import Bytes
import Digests
import HTTP
import JSON
import Services

/// `/api/reservations`: holding stock of one product, and what becomes of the hold.
final class ReservationEndpoints {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses: Warehouses
    private let reader: HoldReader
    private let orders: OrderReservations

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
        step.actor = caller.name
        step.key = exchange.header("idempotency-key")?.string
        // Nearly always all of it is known here already.
        if draft.durability == .memory, let sku = catalogue.known(draft.product),
            let wants = try wants(draft, warehouses.set)
        {
            step.wants = [wants]
            step.kept = kept(wants, step.priority)
            return submit(step, sku, exchange)
        }
        later(exchange) { [self] in
            let sku = try await catalogue.sku(draft.product)
            if case .warehouse(let id) = draft.source { _ = try await warehouses.require(id) }
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

    /// Goes on after what has to be looked up.
    private func later(_ exchange: Exchange, _ body: @escaping () async throws -> Void) {
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
        case .unknown: throw Catalogue.unknown(sku.text)
        case .failed(let error): throw error
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    private static func replyShort(_ available: Int, _ requested: Int, to exchange: Exchange) {
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

    // MARK: Ending

    private func end(_ exchange: Exchange, _ caller: Caller, _ make: (HoldStep) -> StockStep) throws {
        let id = try ReservationEndpoints.id(exchange)
        let isConfirm = if case .confirm = make(HoldStep(suffix: "")) { true } else { false }
        guard let sku = id.sku else {
            return later(exchange) { [orders] in
                if isConfirm {
                    try await orders.confirm(id, exchange, caller)
                } else {
                    try await orders.cancel(id, exchange, caller)
                }
            }
        }
        var step = HoldStep(suffix: id.suffix)
        step.actor = caller.name
        step.key = exchange.header("idempotency-key")?.string
        if !exchange.body.isEmpty {
            var fields = try Fields(exchange.jsonBody())
            if isConfirm {
                step.quantity = try fields.int("quantity", in: 1...ReservationDraft.largestQuantity)
            } else {
                step.reason = try fields.optionalString("reason")
            }
            try fields.finish()
        }
        let log = lanes.context.log
        lanes.submit(make(step), on: sku) { answer in
            do { try ReservationEndpoints.replyEnded(answer, id, sku, to: exchange) } catch {
                ProblemReply.send(error, to: exchange, log: log)
            }
        }
    }

    private func extend(_ exchange: Exchange, _ caller: Caller) async throws {
        let id = try ReservationEndpoints.id(exchange)
        guard let sku = id.sku else { return try await orders.extend(id, exchange, caller) }
        var fields = try Fields(exchange.jsonBody())
        let end = try fields.holdEnd().required("expiresInMs")
        let members = [JSONValue.Member("op", .string("extend")), .init("id", .string(id.suffix)), end.member]
        try fields.finish()
        let reply = try await lanes.perform(.object(members), on: sku)
        try ReservationEndpoints.replyEnded(StockAnswer(reply, suffix: id.suffix), id, sku, to: exchange)
    }

    private static func replyEnded(_ answer: StockAnswer, _ id: StockID, _ sku: SKU, to exchange: Exchange) throws {
        switch answer {
        case .done(let hold, let productID), .same(let hold, let productID):
            reply(200, hold, sku, productID, to: exchange)
        case .state(let hold, _): throw Problem(.conflict, "the reservation is \(hold.status.rawValue)")
        case .line(let set):
            throw Problem(.conflict, "this is a line of the reservation \(set), which is confirmed or cancelled whole")
        case .more(let held): throw Problem(.conflict, "the reservation holds \(held)", field: "quantity")
        case .past: throw Problem.field("expiresAt", "has passed")
        case .missing, .unknown: throw missing(id)
        case .failed(let error): throw error
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    // MARK: Reading

    private func list(_ exchange: Exchange) async throws {
        guard let order = exchange.queryItem("orderId"), !order.isEmpty else {
            throw Problem.field("orderId", "is required")
        }
        let ids = try await reader.ids(ofOrder: order)
        let holds = try await reader.holds(ids, ofOrder: order)
        var wholes: [OrderReservation] = []
        for id in ids where id.sku == nil {
            if let whole = try await orders.find(id), whole.orderID == order { wholes.append(whole) }
        }
        exchange.reply(200) { json in
            json.beginObject()
            json.beginArray("reservations")
            for whole in wholes { OrderReservations.write(whole, to: &json) }
            for (sku, hold, productID) in holds { HoldJSON.write(hold, sku: sku, productID: productID, to: &json) }
            json.endArray()
            json.endObject()
        }
    }

    // MARK: What they share

    private static func id(_ exchange: Exchange) throws -> StockID {
        let text = exchange.parameter(0)
        guard let id = StockID(text) else {
            throw Problem(.notFound, "there is no reservation \(text.prefix(100))")
        }
        return id
    }

    private static func missing(_ id: StockID) -> Problem { Problem(.notFound, "there is no reservation \(id)") }

    private static func reply(_ status: Int, _ hold: Hold, _ sku: SKU, _ productID: String, to exchange: Exchange) {
        exchange.reply(status) { HoldJSON.write(hold, sku: sku, productID: productID, to: &$0) }
    }
}

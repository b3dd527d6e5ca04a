import Bytes
import Digests
import HTTP
import JSON
import Services

/// Reservations over several products: `lines` in the body, `order~…` for an id.
final class OrderReservations {
    private let lanes: StockLanes
    private let store: OrderStore
    private let catalogue: Catalogue
    private let warehouses: Warehouses

    init(lanes: StockLanes, catalogue: Catalogue, warehouses: Warehouses) {
        self.lanes = lanes
        store = OrderStore(lanes: lanes)
        self.catalogue = catalogue
        self.warehouses = warehouses
    }

    func create(_ exchange: Exchange, _ caller: Caller) async throws {
        let key = try IdempotencyKey(exchange, caller: caller)
        let keyText = exchange.header("idempotency-key")?.string
        let draft = try OrderDraft(exchange.jsonBody())
        let suffix = key.map { String($0.name.prefix(StockID.digits)) } ?? RandomID.hex(bytes: StockID.digits / 2)
        let request = key.map { String($0.bodyDigest.prefix(16)) }
        var skus: [SKU] = []
        var wants: [SKU: [ReserveStep.Want]] = [:]
        for (i, line) in draft.lines.enumerated() {
            let sku = try await catalogue.sku(line.product)
            if wants[sku] == nil { skus.append(sku) }
            add(try await want(line, i), to: &wants[sku, default: []])
        }
        var operation: [JSONValue.Member] = [
            .init("op", .string("reserve")), .init("id", .string(suffix)), .init("actor", .string(caller.name)),
            .init("lines", .array(skus.map { lineJSON(wants[$0] ?? [], draft.priority) })), draft.end.member,
        ]
        if let order = draft.orderID { operation.append(.init("order", .string(order))) }
        if draft.priority > 0 { operation.append(.init("priority", .int(draft.priority))) }
        if let request { operation.append(.init("request", .string(request))) }
        if let keyText { operation.append(.init("key", .string(keyText))) }
        var promises: [DurabilityPromise] = []
        for sku in skus {
            let marker = lanes.keys.durable(sku)
            promises.append(try await draft.durability.prepare(marker: marker, in: lanes.context))
        }
        let answer = try await store.perform(operation, suffix: suffix, skus: skus, order: draft.orderID)
        if answer.isThere {
            for promise in promises { try await promise.confirm() }
        }
        switch answer {
        case .held(let made): reply(201, made, to: exchange)
        case .existing(let made):
            guard made.request == request else {
                throw Problem.impossible("Idempotency-Key", "was used before with another body")
            }
            reply(201, made.asMade, to: exchange)
        case .other: throw Problem.impossible("Idempotency-Key", "was used before with another body")
        case .short(let place, let available):
            throw Problem(
                .conflict, "Insufficient inventory of \(skus[place]): \(available) could be had", field: "lines")
        case .unknown(let place): throw Catalogue.unknown(skus[place].text)
        case .past: throw Problem.field("expiresAt", "has passed")
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    func show(_ id: StockID, _ exchange: Exchange) async throws {
        try await step("show", id, exchange, [])
    }

    func confirm(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        var members = [JSONValue.Member("actor", .string(caller.name))]
        if !exchange.body.isEmpty {
            var fields = try Fields(exchange.jsonBody())
            let lines = try fields.array("lines", maxCount: OrderDraft.mostLines)
            try fields.finish()
            if let lines { members.append(.init("parts", try await parts(lines, id))) }
        }
        try await step("confirm", id, exchange, members)
    }

    func cancel(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        try await step("cancel", id, exchange, [JSONValue.Member("actor", .string(caller.name))])
    }

    func extend(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try Fields(exchange.jsonBody())
        let end = try fields.holdEnd().required("expiresInMs")
        try fields.finish()
        try await step("extend", id, exchange, [end.member])
    }

    /// nil where there is none.
    func find(_ id: StockID) async throws -> OrderReservation? {
        guard let skus = try await store.skus(id.suffix) else { return nil }
        let operation = [JSONValue.Member("op", .string("show")), .init("id", .string(id.suffix))]
        if case .done(let whole) = try await store.perform(operation, suffix: id.suffix, skus: skus) { return whole }
        return nil
    }

    // MARK: Inside

    private func step(_ word: String, _ id: StockID, _ exchange: Exchange, _ members: [JSONValue.Member]) async throws {
        guard let skus = try await store.skus(id.suffix) else { throw OrderReservations.missing(id) }
        let operation = [JSONValue.Member("op", .string(word)), .init("id", .string(id.suffix))] + members
        let drains = word == "confirm" || word == "cancel"
        switch try await store.perform(operation, suffix: id.suffix, skus: skus, drains: drains) {
        case .done(let whole), .same(let whole): reply(200, whole, to: exchange)
        case .state(let whole): throw Problem(.conflict, "the reservation is \(whole.status.rawValue)")
        case .more(let place, let held):
            throw Problem(.conflict, "the reservation holds \(held) of \(skus[place]) there", field: "lines")
        case .missing, .unknown: throw OrderReservations.missing(id)
        case .past: throw Problem.field("expiresAt", "has passed")
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    private func want(_ line: OrderDraft.Line, _ place: Int) async throws -> ReserveStep.Want {
        switch line.source {
        case .warehouse(let id):
            guard try await warehouses.require(id).mayReserve else {
                throw Problem(.conflict, "nothing may be reserved in \(id)", field: "lines[\(place)].warehouseId")
            }
            return ReserveStep.Want(from: [id], quantity: line.quantity)
        case .any(let order):
            return ReserveStep.Want(from: warehouses.set.candidates(order).map(\.id), quantity: line.quantity)
        case .split(let order):
            return ReserveStep.Want(
                from: warehouses.set.candidates(order).map(\.id), quantity: line.quantity, split: true)
        }
    }

    /// Lines of one SKU that ask the same warehouses are summed.
    private func add(_ want: ReserveStep.Want, to wants: inout [ReserveStep.Want]) {
        if let at = wants.firstIndex(where: { $0.from == want.from && $0.split == want.split }) {
            wants[at].quantity += want.quantity
        } else {
            wants.append(want)
        }
    }

    private func lineJSON(_ wants: [ReserveStep.Want], _ priority: Int) -> JSONValue {
        let rows = wants.map {
            JSONValue.object([
                .init("from", .array($0.from.map { .string($0) })), .init("n", .int($0.quantity)),
                .init("split", .bool($0.split)),
            ])
        }
        var members = [JSONValue.Member("want", .array(rows))]
        let kept = priority > 0 ? [:] : warehouses.set.kept(in: Set(wants.flatMap(\.from)))
        if !kept.isEmpty { members.append(.init("kept", .object(kept.map { .init($0.key, .int($0.value)) }))) }
        return .object(members)
    }

    /// What is confirmed of each SKU, in the order of the reservation's; of a SKU that is not named, nothing.
    private func parts(_ lines: [JSONValue], _ id: StockID) async throws -> JSONValue {
        guard let skus = try await store.skus(id.suffix) else { throw OrderReservations.missing(id) }
        var wanted: [SKU: [String: Int]] = [:]
        for (i, line) in lines.enumerated() {
            var fields = try Fields(line, of: "lines[\(i)]")
            let sku = try await catalogue.sku(fields.string("productId", max: 64).required(fields.name("productId")))
            let warehouse = try fields.string("warehouseId", max: 64).required(fields.name("warehouseId"))
            let quantity = try fields.int("quantity", in: 0...ReservationDraft.largestQuantity)
                .required(fields.name("quantity"))
            try fields.finish()
            guard skus.contains(sku) else {
                throw Problem(.conflict, "the reservation holds nothing of \(sku)", field: "lines[\(i)].productId")
            }
            wanted[sku, default: [:]][warehouse, default: 0] += quantity
        }
        guard wanted.values.contains(where: { $0.values.contains { $0 > 0 } }) else {
            throw Problem.field("lines", "must confirm something (cancel releases all of it)")
        }
        return .array(
            skus.map { sku in .object((wanted[sku] ?? [:]).map { .init($0.key, .int($0.value)) }) })
    }

    private func reply(_ status: Int, _ whole: OrderReservation, to exchange: Exchange) {
        exchange.reply(status) { OrderReservations.write(whole, to: &$0) }
    }

    static func write(_ whole: OrderReservation, to json: inout JSONWriter) {
        json.beginObject()
        json.field("id", whole.id.description)
        if let order = whole.orderID { json.field("orderId", order) }
        json.field("status", whole.status.rawValue)
        json.field("createdAt", HoldJSON.time(whole.createdMs))
        json.field("expiresAt", HoldJSON.time(whole.expiresMs))
        json.beginArray("lines")
        for line in whole.lines { HoldJSON.write(line.hold, sku: line.sku, productID: line.productID, to: &json) }
        json.endArray()
        json.endObject()
    }

    private static func missing(_ id: StockID) -> Problem { Problem(.notFound, "there is no reservation \(id)") }
}

extension OrderReservation {
    /// As the request that made it was answered.
    fileprivate var asMade: OrderReservation {
        var whole = self
        whole.expiresMs = firstExpiresMs ?? expiresMs
        whole.lines = lines.map { Line(sku: $0.sku, productID: $0.productID, hold: $0.hold.asMade) }
        return whole
    }
}

extension ReserveStep.End {
    /// As the scripts read it.
    var member: JSONValue.Member {
        switch self {
        case .at(let ms): .init("expires", .int(ms))
        case .after(let ms): .init("holdMs", .int(ms))
        }
    }
}

extension WarehouseSet {
    /// The shares that warehouses keep for those with priority, in thousandths.
    func kept(in ids: Set<String>) -> [String: Int] {
        var kept: [String: Int] = [:]
        for id in ids { if let share = byID[id]?.keptPerMille, share > 0 { kept[id] = share } }
        return kept
    }
}

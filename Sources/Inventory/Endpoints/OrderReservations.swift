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
        let named = try await together(draft.lines, on: exchange.loop) { [catalogue] in
            try await catalogue.sku($0.product)
        }
        for (i, (line, sku)) in zip(draft.lines, named).enumerated() {
            if wants[sku] == nil { skus.append(sku) }
            add(try await want(line, i), to: &wants[sku, default: []])
        }
        let reserve = OrderReserve(
            lines: skus.map { line(wants[$0] ?? [], draft.priority) }, orderID: draft.orderID, end: draft.end,
            priority: draft.priority, request: request, key: keyText)
        let effects = lanes.keys.durable(skus, suffix, isCluster: lanes.context.redis.isCluster)
        let promise = try await draft.durability.prepare(effects, in: lanes.context)
        let answer = try await store.perform(.reserve(reserve), suffix: suffix, skus: skus, actor: caller.name)
        if answer.isThere { try await promise.confirm() }
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
        case .far: throw Problem.field("expiresAt", "must be at most 30 days away")
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }

    func show(_ id: StockID, _ exchange: Exchange) async throws {
        try await step(.show, id, exchange)
    }

    func confirm(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        var parts: [[String: Int]]?
        if !exchange.body.isEmpty {
            var fields = try Fields(exchange.jsonBody())
            let lines = try fields.array("lines", maxCount: OrderDraft.mostLines)
            try fields.finish()
            if let lines { parts = try await self.parts(lines, id) }
        }
        try await step(.confirm(parts: parts), id, exchange, caller.name)
    }

    func cancel(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        try await step(.cancel, id, exchange, caller.name)
    }

    func extend(_ id: StockID, _ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try Fields(exchange.jsonBody())
        let end = try fields.holdEnd().required("expiresInMs")
        try fields.finish()
        try await step(.extend(end), id, exchange)
    }

    /// nil where there is none.
    func find(_ id: StockID) async throws -> OrderReservation? {
        guard let skus = try await store.skus(id.suffix) else { return nil }
        if case .done(let whole) = try await store.perform(.show, suffix: id.suffix, skus: skus) { return whole }
        return nil
    }

    // MARK: Inside

    private func step(_ step: OrderStep, _ id: StockID, _ exchange: Exchange, _ actor: String = "") async throws {
        guard let skus = try await store.skus(id.suffix) else { throw OrderReservations.missing(id) }
        switch try await store.perform(step, suffix: id.suffix, skus: skus, actor: actor) {
        case .same(let whole):
            if case .confirm(let parts) = step, !whole.wasConfirmed(as: parts) {
                throw Problem(
                    .conflict, "other parts of the reservation were confirmed, and the rest was given back",
                    field: "lines")
            }
            reply(200, whole, to: exchange)
        case .done(let whole): reply(200, whole, to: exchange)
        case .lacking(let place):
            let name = place.map { " of \(skus[$0])" } ?? ""
            throw Problem(.conflict, "less is there\(name) than is reserved")
        case .state(let whole): throw Problem(.conflict, "the reservation is \(whole.status.rawValue)")
        case .more(let place, let held):
            throw Problem(.conflict, "the reservation holds \(held) of \(skus[place]) there", field: "lines")
        case .missing, .unknown: throw OrderReservations.missing(id)
        case .past: throw Problem.field("expiresAt", "has passed")
        case .far: throw Problem.field("expiresAt", "must be at most 30 days away")
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

    private func line(_ wants: [ReserveStep.Want], _ priority: Int) -> OrderReserve.Line {
        let kept = priority > 0 ? [:] : warehouses.set.kept(in: Set(wants.flatMap(\.from)))
        return OrderReserve.Line(wants: wants, kept: kept)
    }

    /// What is confirmed of each SKU, in the order of the reservation's; of a SKU that is not named, nothing.
    private func parts(_ lines: [JSONValue], _ id: StockID) async throws -> [[String: Int]] {
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
        return skus.map { wanted[$0] ?? [:] }
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

extension OrderReservation {
    /// Whether it was confirmed as this asks for it.
    /// - Parameter parts: of each line, how much from which warehouse; nil: all of it.
    fileprivate func wasConfirmed(as parts: [[String: Int]]?) -> Bool {
        guard parts?.count ?? lines.count == lines.count else { return false }
        return lines.enumerated().allSatisfy { place, line in
            let taken = line.hold.confirmed ?? line.hold.parts
            let asked = parts?[place] ?? line.hold.parts.byWarehouse
            return taken.byWarehouse.filter { $0.value > 0 } == asked.filter { $0.value > 0 }
        }
    }
}

extension [Hold.Part] {
    fileprivate var byWarehouse: [String: Int] {
        Dictionary(map { ($0.warehouse, $0.quantity) }) { $0 + $1 }
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

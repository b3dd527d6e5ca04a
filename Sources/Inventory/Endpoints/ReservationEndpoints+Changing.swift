import HTTP
import JSON
import Services

/// What becomes of a hold: it is confirmed, cancelled, extended, or of another quantity.
extension ReservationEndpoints {
    func end(_ exchange: Exchange, _ caller: Caller, _ make: (HoldStep) -> StockStep) throws {
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
            do {
                // Another part than was asked for is no answer.
                if isConfirm, case .same(let hold, _) = answer, !hold.wasConfirmed(as: step.quantity, key: step.key) {
                    throw ReservationEndpoints.confirmedOtherwise(hold)
                }
                try ReservationEndpoints.replyEnded(answer, id, sku, to: exchange)
            } catch {
                ProblemReply.send(error, to: exchange, log: log)
            }
        }
    }

    private static func confirmedOtherwise(_ hold: Hold) -> Problem {
        guard let confirmed = hold.confirmed else {
            return Problem(
                .conflict, "the reservation was confirmed with all of its \(hold.quantity)", field: "quantity")
        }
        let sum = confirmed.reduce(0) { $0 + $1.quantity }
        return Problem(
            .conflict, "the reservation was confirmed with \(sum) of \(hold.quantity), and the rest was given back",
            field: "quantity")
    }

    /// Another quantity: more is taken where the reservation has its stock.
    func resize(_ exchange: Exchange, _ caller: Caller) async throws {
        let id = try ReservationEndpoints.id(exchange)
        var fields = try Fields(exchange.jsonBody())
        let quantity = try fields.int("quantity", in: 1...ReservationDraft.largestQuantity).required("quantity")
        try fields.finish()
        guard let sku = id.sku else {
            throw Problem(.conflict, "a reservation over several products can't be changed; make another one")
        }
        var members: [JSONValue.Member] = [
            .init("op", .string("resize")), .init("id", .string(id.suffix)), .init("n", .int(quantity)),
            .init("actor", .string(caller.name)),
        ]
        if warehouses.set.keepsAnything {
            let kept = warehouses.set.kept(in: Set(warehouses.set.byID.keys))
            members.append(.init("kept", .object(kept.map { .init($0.key, .int($0.value)) })))
        }
        if let key = exchange.header("idempotency-key") { members.append(.init("key", .string(key.string))) }
        let answer = StockAnswer(try await lanes.perform(.object(members), on: sku), suffix: id.suffix)
        if case .short(let available) = answer {
            return ReservationEndpoints.replyShort(available, quantity, to: exchange)
        }
        try ReservationEndpoints.replyEnded(answer, id, sku, to: exchange)
    }

    func extend(_ exchange: Exchange, _ caller: Caller) async throws {
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
        case .lacking(let there):
            throw Problem(.conflict, "only \(there) are there: less than is reserved", field: "quantity")
        case .past: throw Problem.field("expiresAt", "has passed")
        case .far: throw Problem.field("expiresAt", "must be at most 30 days away")
        case .missing, .unknown: throw missing(id)
        case .failed(let error): throw error
        default: throw Problem(.internalError, "the stock gave an answer that does not belong here")
        }
    }
}

import JSON

/// What is asked of a reservation over several SKUs.
enum OrderStep: Sendable {
    case reserve(OrderReserve)
    /// `parts`: of each SKU, in the reservation's order, how much is taken from which warehouse; nil for all of it.
    case confirm(parts: [[String: Int]]?)
    case cancel
    case extend(ReserveStep.End)
    case show

    /// Whether it only gives back, so that it goes on when Redis has no memory left.
    var drains: Bool {
        switch self {
        case .confirm, .cancel: true
        case .reserve, .extend, .show: false
        }
    }

    /// As `order.lua` reads it.
    func json(_ suffix: String, actor: String) -> JSONValue {
        var members: [JSONValue.Member] = [.init("id", .string(suffix)), .init("actor", .string(actor))]
        switch self {
        case .reserve(let draft):
            members.append(.init("op", .string("reserve")))
            members.append(.init("lines", .array(draft.lines.map { .object($0.members) })))
            members.append(draft.end.member)
            if let order = draft.orderID { members.append(.init("order", .string(order))) }
            if draft.priority > 0 { members.append(.init("priority", .int(draft.priority))) }
            if let request = draft.request { members.append(.init("request", .string(request))) }
            if let key = draft.key { members.append(.init("key", .string(key))) }
        case .confirm(let parts):
            members.append(.init("op", .string("confirm")))
            if let parts { members.append(.init("parts", OrderStep.json(parts))) }
        case .cancel: members.append(.init("op", .string("cancel")))
        case .extend(let end): members += [.init("op", .string("extend")), end.member]
        case .show: members.append(.init("op", .string("show")))
        }
        return .object(members)
    }

    static func json(_ parts: [[String: Int]]) -> JSONValue {
        .array(parts.map { .object($0.map { .init($0.key, .int($0.value)) }) })
    }
}

/// A reservation over several SKUs that is to be made.
struct OrderReserve: Sendable {
    /// Of one SKU.
    struct Line: Sendable {
        var wants: [ReserveStep.Want]
        /// Thousandths of their stock that warehouses keep back from it.
        var kept: [String: Int]
    }

    var lines: [Line]
    var orderID: String?
    var end = ReserveStep.End.after(3_600_000)
    var priority = 0
    /// Digest of the request, when it came with a key; and the key.
    var request: String?
    var key: String?
}

extension OrderReserve.Line {
    /// `want` and `kept`, as the scripts read them.
    var members: [JSONValue.Member] {
        let rows = wants.map {
            JSONValue.object([
                .init("from", .array($0.from.map { .string($0) })), .init("n", .int($0.quantity)),
                .init("split", .bool($0.split)),
            ])
        }
        var members = [JSONValue.Member("want", .array(rows))]
        if !kept.isEmpty { members.append(.init("kept", .object(kept.map { .init($0.key, .int($0.value)) }))) }
        return members
    }
}

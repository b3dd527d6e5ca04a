import JSON

/// Something to be done to one SKU.
enum StockStep: Sendable {
    case reserve(ReserveStep)
    case confirm(HoldStep)
    case cancel(HoldStep)
    /// Anything else, as the scripts read it. `drains`: it only gives back, so it goes on when Redis has no memory left.
    case scripted(json: String, drains: Bool)
    /// Releases what has lapsed, and changes the version so that whatever is on its way elsewhere is judged anew.
    case sweep
}

/// A hold to be made.
struct ReserveStep: Sendable {
    /// When a hold ends.
    enum End: Sendable, Equatable {
        /// ms since 1970.
        case at(Int)
        /// ms from when it begins.
        case after(Int)
    }

    /// A quantity, and the warehouses that may give it, in order.
    struct Want: Sendable, Equatable {
        var from: [String]
        var quantity: Int
        /// Whether several may give a part each.
        var split = false
    }

    var suffix: String
    var wants: [Want]
    var orderID: String?
    var end = End.after(3_600_000)
    /// 0 to 100. Above 0 a warehouse's kept share may be taken, too.
    var priority = 0
    /// Thousandths of their stock that warehouses keep back from this hold.
    var kept: [String: Int] = [:]
    /// Digest of the request, when it came with a key: the hold may exist already.
    var request: String?
    var waitsForStock = false
    /// How long it may wait; nil: as long as it may be held.
    var waitMs: Int?
    /// Holds that it takes the place of.
    var replaces: [String] = []
    var actor = ""
    var key: String?
}

/// What is to become of a hold.
struct HoldStep: Sendable {
    var suffix: String
    /// How much of it is confirmed; nil for all.
    var quantity: Int?
    var reason: String?
    var actor = ""
    var key: String?
}

extension StockStep {
    /// As the scripts read it.
    var json: String {
        switch self {
        case .reserve(let step): step.json
        case .confirm(let step): step.json("confirm")
        case .cancel(let step): step.json("cancel")
        case .scripted(let json, _): json
        case .sweep: ""
        }
    }

    /// Whether it only gives back.
    var drains: Bool {
        switch self {
        case .reserve: false
        case .confirm, .cancel, .sweep: true
        case .scripted(_, let drains): drains
        }
    }

    /// Of which hold it is; nil where it can be of any.
    var suffix: String? {
        switch self {
        case .reserve(let step): step.suffix
        case .confirm(let step), .cancel(let step): step.suffix
        case .scripted, .sweep: nil
        }
    }
}

extension ReserveStep {
    fileprivate var json: String {
        var members: [JSONValue.Member] = [
            .init("op", .string("reserve")), .init("id", .string(suffix)),
            .init(
                "want",
                .array(
                    wants.map {
                        .object([
                            .init("from", .array($0.from.map { .string($0) })), .init("n", .int($0.quantity)),
                            .init("split", .bool($0.split)),
                        ])
                    })),
        ]
        members.append(end.member)
        if let orderID { members.append(.init("order", .string(orderID))) }
        if priority > 0 { members.append(.init("priority", .int(priority))) }
        if !kept.isEmpty { members.append(.init("kept", .object(kept.map { .init($0.key, .int($0.value)) }))) }
        if let request { members.append(.init("request", .string(request))) }
        if waitsForStock { members.append(.init("backorder", .bool(true))) }
        if let waitMs { members.append(.init("waitMs", .int(waitMs))) }
        if !replaces.isEmpty { members.append(.init("replaces", .array(replaces.map { .string($0) }))) }
        members.append(.init("actor", .string(actor)))
        if let key { members.append(.init("key", .string(key))) }
        return JSONValue.object(members).text()
    }
}

extension HoldStep {
    fileprivate func json(_ operation: String) -> String {
        var members: [JSONValue.Member] = [.init("op", .string(operation)), .init("id", .string(suffix))]
        if let quantity { members.append(.init("quantity", .int(quantity))) }
        if let reason { members.append(.init("reason", .string(reason))) }
        members.append(.init("actor", .string(actor)))
        if let key { members.append(.init("key", .string(key))) }
        return JSONValue.object(members).text()
    }
}

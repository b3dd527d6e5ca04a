import Bytes
import JSON
import Services

/// A reservation over several products as it was asked for.
struct OrderDraft: Sendable {
    struct Line: Sendable, Equatable {
        /// An id or a SKU.
        var product: String
        var quantity: Int
        var source: ReservationDraft.Source
    }

    var orderID: String?
    var lines: [Line]
    var end = ReserveStep.End.after(3_600_000)
    var priority = 0
    var durability = Durability.memory

    static let mostLines = 100

    init(_ body: JSONValue) throws {
        var fields = try Fields(body)
        orderID = try fields.optionalString("orderId", max: 128)
        priority = try fields.int("priority", in: 0...ReservationDraft.mostPriority) ?? 0
        durability = try fields.word("durability", Durability.self) ?? .memory
        if let end = try fields.holdEnd() { self.end = end }
        let near = try fields.near()
        let elements = try fields.array("lines", maxCount: OrderDraft.mostLines).required("lines")
        if elements.isEmpty { throw Problem.field("lines", "must have 1 to \(OrderDraft.mostLines) elements") }
        lines = []
        for (i, element) in elements.enumerated() {
            lines.append(try OrderDraft.line(element, path: "lines[\(i)]", near: near))
        }
        try fields.finish()
    }

    private static func line(_ body: JSONValue, path: String, near: Warehouse.Coordinates?) throws -> Line {
        enum Allocation: String, CaseIterable { case any, split }
        enum Rank: String, CaseIterable { case priority, distance }
        var fields = try Fields(body, of: path)
        let product = try fields.string("productId", max: 64).required(fields.name("productId"))
        let quantity = try fields.int("quantity", in: 1...ReservationDraft.largestQuantity)
            .required(fields.name("quantity"))
        let warehouse = try fields.optionalString("warehouseId", max: 64)
        let allocation = try fields.word("allocation", Allocation.self)
        let rank = try fields.word("order", Rank.self) ?? .priority
        try fields.finish()
        var order = ReservationDraft.Order.priority
        if rank == .distance {
            guard let near else { throw Problem.field("near", "is required for the order distance") }
            order = .distance(near)
        }
        switch (warehouse, allocation) {
        case (let warehouse?, nil): return Line(product: product, quantity: quantity, source: .warehouse(warehouse))
        case (nil, .any?): return Line(product: product, quantity: quantity, source: .any(order))
        case (nil, .split?): return Line(product: product, quantity: quantity, source: .split(order))
        case (nil, nil): throw Problem.field("\(path).warehouseId", "is required (or allocation)")
        case (.some, .some): throw Problem.field("\(path).allocation", "can't stand beside warehouseId")
        }
    }
}

extension Fields {
    /// When a hold is to end: `expiresAt` or `expiresInMs`; nil where neither is said.
    mutating func holdEnd() throws(Problem) -> ReserveStep.End? {
        let ms = try durationMs("expiresInMs", in: 1...ReservationDraft.longestHoldMs)
        guard let text = try string("expiresAt") else { return ms.map { .after($0) } }
        guard ms == nil else { throw .field("expiresInMs", "can't stand beside expiresAt") }
        return try ReservationDraft.end(text)
    }

    /// From where distances are counted.
    mutating func near() throws -> Warehouse.Coordinates? {
        guard var fields = try object("near") else { return nil }
        let point = try Warehouse.Coordinates(&fields, named: "near")
        try fields.finish()
        return point
    }
}

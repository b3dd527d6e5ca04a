import Bytes
import JSON
import Services

/// A change of stock on hand, as it was asked for.
struct Adjustment: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable { case add, subtract, set }

    /// An id or a SKU; empty where the path names it.
    var product = ""
    var warehouse: String
    var kind: Kind
    var quantity: Int
    var reason: String?
    /// What must be there now.
    var expected: Int?

    /// - Parameters:
    ///   - named: whether the body names the product (rows of a bulk).
    ///   - path: where it stands in the body, for messages (`adjustments[3]`).
    init(_ body: JSONValue, named: Bool = false, path: String? = nil) throws(Problem) {
        var fields = try Fields(body, of: path)
        if named { product = try fields.string("productId", max: 64).required(fields.name("productId")) }
        warehouse = try fields.string("warehouseId", max: 64).required(fields.name("warehouseId"))
        kind = try fields.word("type", Kind.self).required(fields.name("type"))
        let least = kind == .set ? 0 : 1
        quantity = try fields.int("quantity", in: least...ReservationDraft.largestQuantity)
            .required(fields.name("quantity"))
        reason = try fields.optionalString("reason")
        expected = try fields.int("expected", in: 0...ReservationDraft.largestQuantity)
        try fields.finish()
    }

    /// As the scripts read it.
    /// - Parameters:
    ///   - id: 20 hex digits; under one id it is done once.
    ///   - keptMs: for how long a repeated one is known.
    ///   - ledgerType: what the ledger calls it; nil: `adjust`.
    ///   - isFinal: whether a refusal is remembered, too.
    func operation(
        id: String, actor: String, key: String? = nil, request: String? = nil, keptMs: Int = 60_000,
        ledgerType: String? = nil, isFinal: Bool = false
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("op", .string("adjust")), .init("id", .string(id)), .init("w", .string(warehouse)),
            .init("type", .string(kind.rawValue)), .init("n", .int(quantity)), .init("actor", .string(actor)),
            .init("keepMs", .int(keptMs)),
        ]
        if isFinal { members.append(.init("final", .bool(true))) }
        if let ledgerType { members.append(.init("kind", .string(ledgerType))) }
        if let reason { members.append(.init("reason", .string(reason))) }
        if let expected { members.append(.init("expected", .int(expected))) }
        if let key { members.append(.init("key", .string(key))) }
        if let request { members.append(.init("request", .string(request))) }
        return .object(members)
    }
}

/// What became of an adjustment: `<request> <previous> <quantity> <reserved> <in transit> <ms>`, as its record has it.
struct AdjustmentResult: Sendable, Equatable {
    var request: String
    var previous: Int
    var levels: StockLevels
    var atMs: Int

    init?(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        let numbers = words.dropFirst().compactMap { Int($0) }
        guard words.count == 6, numbers.count == 5 else { return nil }
        request = words[0]
        previous = numbers[0]
        levels = StockLevels(quantity: numbers[1], reserved: numbers[2], inTransit: numbers[3])
        atMs = numbers[4]
    }
}

extension Adjustment {
    /// What the reply to its operation says.
    /// - Parameter request: digest of the body, when it came with a key.
    /// - Throws: why it was not done.
    func result(of reply: StockReply, sku: SKU, request: String?) throws(Problem) -> AdjustmentResult {
        switch reply.word {
        case "adjusted", "existing":
            guard let result = AdjustmentResult(reply.rest.first ?? "") else { break }
            guard result.request == request ?? "-" else {
                throw .impossible("Idempotency-Key", "was used before with another body")
            }
            return result
        case "expected":
            throw Problem(.conflict, "there are \(reply.int(0)), not the expected \(expected ?? 0)", field: "expected")
        case "below":
            throw Problem(
                .conflict, "of \(reply.int(0)) there, \(reply.int(1)) are reserved: fewer can't be left",
                field: "quantity")
        case "limit": throw Problem(.conflict, "there would be more than can be counted", field: "quantity")
        case "unknown": throw Catalogue.unknown(sku.text)
        default: break
        }
        throw Problem(.internalError, "the stock gave an answer that does not belong here")
    }

    /// `adjustment` and `newInventory`, as the API answers.
    func members(_ result: AdjustmentResult, id: StockID, sku: SKU, productID: String) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("id", .string(id.description)), .init("productId", .string(productID)),
            .init("sku", .string(sku.text)), .init("warehouseId", .string(warehouse)),
            .init("quantity", .int(quantity)), .init("type", .string(kind.rawValue)),
            .init("previousQuantity", .int(result.previous)),
            .init("timestamp", .string(HoldJSON.time(result.atMs).rfc3339)),
        ]
        if let reason { members.append(.init("reason", .string(reason))) }
        let inventory = InventoryJSON.members(result.levels, sku: sku, productID: productID, warehouse: warehouse)
        let updated = JSONValue.string(HoldJSON.time(result.atMs).rfc3339)
        return [
            .init("adjustment", .object(members)),
            .init("newInventory", .object(inventory + [.init("lastUpdated", updated)])),
        ]
    }
}

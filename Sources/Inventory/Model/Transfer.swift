import JSON
import Services

/// Stock on its way from one warehouse to another.
struct Transfer: Sendable, Equatable {
    enum Status: String, Sendable, CaseIterable { case pending, inTransit = "in-transit", received, cancelled }

    var id: StockID
    var sku: SKU
    var from: String
    var to: String
    var quantity: Int
    var status: Status
    /// How much arrived, if not all of it.
    var received: Int?
    var reason: String?
    /// Digest of the request that made it, if that came with a key.
    var request: String?
    /// ms since 1970.
    var createdMs: Int
    var changedMs: Int

    /// nil for a hash that is none.
    init?(_ fields: [String: String], sku: SKU, suffix: String) {
        guard let status = Status(rawValue: fields["status"] ?? ""), let from = fields["from"], let to = fields["to"],
            let quantity = fields["quantity"].flatMap({ Int($0) }),
            let created = fields["created"].flatMap({ Int($0) }), let changed = fields["changed"].flatMap({ Int($0) })
        else { return nil }
        id = StockID(sku: sku, suffix: suffix)
        self.sku = sku
        self.from = from
        self.to = to
        self.quantity = quantity
        self.status = status
        received = fields["received"].flatMap { Int($0) }
        reason = fields["reason"].flatMap { $0.isEmpty ? nil : $0 }
        request = fields["request"].flatMap { $0.isEmpty ? nil : $0 }
        createdMs = created
        changedMs = changed
    }

    func json(productID: String) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id.description)), .init("productId", .string(productID)),
            .init("sku", .string(sku.text)), .init("fromWarehouseId", .string(from)),
            .init("toWarehouseId", .string(to)), .init("quantity", .int(quantity)),
            .init("status", .string(status.rawValue)),
        ]
        if let received { members.append(.init("receivedQuantity", .int(received))) }
        if let reason { members.append(.init("reason", .string(reason))) }
        members += [
            .init("createdAt", .string(HoldJSON.time(createdMs).rfc3339)),
            .init("updatedAt", .string(HoldJSON.time(changedMs).rfc3339)),
        ]
        return .object(members)
    }
}

import JSON
import Services

/// Too little or too much of a product in a warehouse.
struct StockAlert: Sendable, Equatable {
    enum Level: String, Sendable, CaseIterable { case warning, critical, emergency, overstock }
    enum Status: String, Sendable, CaseIterable { case active, acknowledged, resolved }

    var sku: SKU
    var warehouse: String
    /// Counts the alerts of this place.
    var number: Int
    var level: Level
    var status: Status
    /// At which available stock it was raised to its level.
    var threshold: Int
    /// ms since 1970.
    var createdMs: Int
    var acknowledgedMs: Int?
    var acknowledgedBy: String?
    var escalatedMs: Int?
    var resolvedMs: Int?

    var id: String { "\(sku.code)~\(warehouse)~\(number)" }

    /// nil for a hash that is none.
    init?(_ fields: [String: String], sku: SKU, warehouse: String) {
        func int(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
        guard let number = int("number"), let level = Level(rawValue: fields["level"] ?? ""),
            let status = Status(rawValue: fields["status"] ?? ""), let created = int("created")
        else { return nil }
        self.sku = sku
        self.warehouse = warehouse
        self.number = number
        self.level = level
        self.status = status
        threshold = int("threshold") ?? 0
        createdMs = created
        acknowledgedMs = int("acknowledged")
        acknowledgedBy = fields["acknowledgedBy"]
        escalatedMs = int("escalated")
        resolvedMs = int("resolved")
    }

    /// `SKU~warehouse~number`.
    static func parts(_ id: String) -> (SKU, warehouse: String, number: Int)? {
        guard let mark = id.lastIndex(of: "~"), let number = Int(id[id.index(after: mark)...]), number > 0,
            let (sku, warehouse) = StockOutbox.place(String(id[..<mark])), Warehouse.isID(warehouse)
        else { return nil }
        return (sku, warehouse, number)
    }

    func json(product: Product?, place: Warehouse?, levels: StockLevels) -> JSONValue {
        var members: [JSONValue.Member] = [.init("id", .string(id))]
        if let product { members.append(.init("productId", .string(product.id))) }
        members += [
            .init("sku", .string(sku.text)), .init("warehouseId", .string(warehouse)),
            .init("level", .string(level.rawValue)), .init("status", .string(status.rawValue)),
            .init("threshold", .int(threshold)), .init("currentQuantity", .int(levels.quantity)),
            .init("available", .int(levels.available)),
        ]
        if let product { members.append(.init("minStockLevel", .int(product.minStockLevel))) }
        members.append(.init("createdAt", .string(HoldJSON.time(createdMs).rfc3339)))
        func add(_ name: String, _ ms: Int?) {
            if let ms { members.append(.init(name, .string(HoldJSON.time(ms).rfc3339))) }
        }
        add("acknowledgedAt", acknowledgedMs)
        if let acknowledgedBy { members.append(.init("acknowledgedBy", .string(acknowledgedBy))) }
        add("escalatedAt", escalatedMs)
        add("resolvedAt", resolvedMs)
        if let product {
            members.append(
                .init("product", .object([.init("name", .string(product.name)), .init("sku", .string(sku.text))])))
        }
        if let place {
            var named = [JSONValue.Member("name", .string(place.name))]
            if let location = place.location { named.append(.init("location", .string(location))) }
            members.append(.init("warehouse", .object(named)))
        }
        return .object(members)
    }
}

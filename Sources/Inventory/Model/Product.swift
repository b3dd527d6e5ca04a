import Bytes
import JSON
import Services

/// What is known of a product besides its stock.
struct Product: Sendable, Equatable {
    /// At which available stock what is said. nil: what follows from `minStockLevel`.
    struct Thresholds: Sendable, Equatable {
        var warning: Int?
        var critical: Int?
        var emergency: Int?
        var max: Int?
    }

    var id: String
    var sku: SKU
    var name: String
    var description: String?
    var category: String?
    var minStockLevel = 10
    var maxStockLevel = 1000
    var thresholds = Thresholds()
    /// Thresholds of single warehouses.
    var warehouseThresholds: [String: Thresholds] = [:]
    /// Days from an order to its arrival; nil: a week.
    var leadTimeDays: Int?
    /// What is to be left when an order arrives, besides what chance is allowed for.
    var safetyStock: Int?
    /// Reorders are whole multiples of it; nil: any number.
    var unitsPerOrder: Int?
    var version = 1
    /// ms since 1970.
    var createdMs = 0
    var updatedMs = 0

    /// Names and values in Redis, without those that its script adds.
    var fields: [String] {
        var fields = [
            "id", id, "sku", sku.code, "name", name, "minStockLevel", String(minStockLevel), "maxStockLevel",
            String(maxStockLevel),
        ]
        func add(_ name: String, _ value: String?) { if let value { fields += [name, value] } }
        func add(_ start: String, _ thresholds: Thresholds) {
            add(start + "warning", thresholds.warning.map { String($0) })
            add(start + "critical", thresholds.critical.map { String($0) })
            add(start + "emergency", thresholds.emergency.map { String($0) })
            add(start + "max", thresholds.max.map { String($0) })
        }
        add("description", description)
        add("category", category)
        add("", thresholds)
        for (warehouse, thresholds) in warehouseThresholds.sorted(by: { $0.key < $1.key }) {
            add(warehouse + ":", thresholds)
        }
        add("leadTimeDays", leadTimeDays.map { String($0) })
        add("safetyStock", safetyStock.map { String($0) })
        add("unitsPerOrder", unitsPerOrder.map { String($0) })
        return fields
    }

    /// - Parameter words: of HGETALL; nil for a hash that is no product.
    init?(_ words: [String]) {
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        func int(_ name: String) -> Int? { fields[name].flatMap { Int($0) } }
        guard let id = fields["id"], let sku = fields["sku"].flatMap({ SKU(code: $0) }), let name = fields["name"]
        else {
            return nil
        }
        self.id = id
        self.sku = sku
        self.name = name
        description = fields["description"]
        category = fields["category"]
        minStockLevel = int("minStockLevel") ?? 10
        maxStockLevel = int("maxStockLevel") ?? 1000
        thresholds = Thresholds(
            warning: nil, critical: int("critical"), emergency: int("emergency"), max: nil)
        for field in fields.keys {
            guard let colon = field.lastIndex(of: ":") else { continue }
            let warehouse = String(field[..<colon])
            warehouseThresholds[warehouse] = Thresholds(
                warning: int(warehouse + ":warning"), critical: int(warehouse + ":critical"),
                emergency: int(warehouse + ":emergency"), max: int(warehouse + ":max"))
        }
        leadTimeDays = int("leadTimeDays")
        safetyStock = int("safetyStock")
        unitsPerOrder = int("unitsPerOrder")
        version = int("version") ?? 1
        createdMs = int("created") ?? 0
        updatedMs = int("updated") ?? 0
    }

    init(id: String, sku: SKU, name: String) {
        self.id = id
        self.sku = sku
        self.name = name
    }
}

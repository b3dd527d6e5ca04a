import Bytes
import JSON
import Services

extension Product {
    private static let largest = 9_007_199_254_740_991

    /// Reads a product as a client writes it.
    /// - Parameter known: the one that is there, whose id and SKU stay; nil for one to be made.
    init(_ body: JSONValue, id: String, known: Product? = nil) throws {
        var fields = try Fields(body)
        fields.ignore("id", "createdAt", "updatedAt", "version")
        let text = try fields.string("sku", max: 64)
        if let known {
            guard text == nil || text == known.sku.text else { throw Problem.impossible("sku", "is fixed for life") }
            self.init(id: known.id, sku: known.sku, name: "")
        } else {
            guard let sku = SKU(try text.required("sku")) else {
                throw Problem.field(
                    "sku",
                    "must be 1 to 64 bytes of text in one line, with no blank at its ends, and neither a product's id nor "
                        + "a word of a path such as \"order\" or \"import\"")
            }
            self.init(id: id, sku: sku, name: "")
        }
        name = try fields.string("name").required("name")
        description = try fields.lines("description", max: 4096)
        category = try fields.optionalString("category")
        minStockLevel = try fields.int("minStockLevel", in: 0...Product.largest) ?? 10
        let most = try fields.int("maxStockLevel", in: 0...Product.largest)
        maxStockLevel = most ?? max(1000, minStockLevel)
        guard maxStockLevel >= minStockLevel else {
            throw Problem.field("maxStockLevel", "must not be below minStockLevel")
        }
        if var levels = try fields.object("thresholds") {
            thresholds.critical = try levels.int("critical", in: 0...Product.largest)
            thresholds.emergency = try levels.int("emergency", in: 0...Product.largest)
            if let single = levels.value("warehouses") { try readThresholds(single) }
            try levels.finish()
        }
        leadTimeDays = try fields.int("leadTimeDays", in: 0...3650)
        safetyStock = try fields.int("safetyStock", in: 0...Product.largest)
        unitsPerOrder = try fields.int("unitsPerOrder", in: 1...Product.largest)
        try fields.finish()
    }

    private mutating func readThresholds(_ value: JSONValue) throws {
        guard case .object(let members) = value, members.count <= 1000 else {
            throw Problem.field("thresholds.warehouses", "must be an object of at most 1000 warehouses")
        }
        for member in members {
            guard Warehouse.isID(member.key) else {
                throw Problem.field("thresholds.warehouses", "must have ids of warehouses for names")
            }
            var levels = try Fields(member.value, of: "thresholds.warehouses.\(member.key)")
            warehouseThresholds[member.key] = Thresholds(
                warning: try levels.int("warning", in: 0...Product.largest),
                critical: try levels.int("critical", in: 0...Product.largest),
                emergency: try levels.int("emergency", in: 0...Product.largest),
                max: try levels.int("max", in: 0...Product.largest))
            try levels.finish()
        }
    }

    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id)), .init("name", .string(name)), .init("sku", .string(sku.text)),
        ]
        if let description { members.append(.init("description", .string(description))) }
        if let category { members.append(.init("category", .string(category))) }
        members += [.init("minStockLevel", .int(minStockLevel)), .init("maxStockLevel", .int(maxStockLevel))]
        let levels = thresholdMembers
        if !levels.isEmpty { members.append(.init("thresholds", .object(levels))) }
        if let leadTimeDays { members.append(.init("leadTimeDays", .int(leadTimeDays))) }
        if let safetyStock { members.append(.init("safetyStock", .int(safetyStock))) }
        if let unitsPerOrder { members.append(.init("unitsPerOrder", .int(unitsPerOrder))) }
        members += [
            .init("createdAt", .string(HoldJSON.time(createdMs).rfc3339)),
            .init("updatedAt", .string(HoldJSON.time(updatedMs).rfc3339)), .init("version", .int(version)),
        ]
        return .object(members)
    }

    private var thresholdMembers: [JSONValue.Member] {
        func members(_ thresholds: Thresholds) -> [JSONValue.Member] {
            [
                ("warning", thresholds.warning), ("critical", thresholds.critical),
                ("emergency", thresholds.emergency), ("max", thresholds.max),
            ].compactMap { name, value in value.map { JSONValue.Member(name, .int($0)) } }
        }
        var all = members(thresholds)
        let single = warehouseThresholds.sorted { $0.key < $1.key }
        if !single.isEmpty {
            all.append(
                .init("warehouses", .object(single.map { JSONValue.Member($0.key, .object(members($0.value))) })))
        }
        return all
    }
}

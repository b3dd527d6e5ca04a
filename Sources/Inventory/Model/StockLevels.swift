import Bytes
import JSON

/// A product's counters in one warehouse.
struct StockLevels: Sendable, Equatable {
    var quantity = 0
    var reserved = 0
    var inTransit = 0

    var available: Int { quantity - reserved }
}

extension Int {
    /// The sum, or the nearest number to it: there may be warehouses without end.
    func plus(_ other: Int) -> Int {
        let (sum, isTooMuch) = addingReportingOverflow(other)
        return isTooMuch ? (other > 0 ? .max : .min) : sum
    }
}

/// A product's counters in all warehouses, as its hash has them.
struct ProductStock: Sendable {
    var productID = ""
    var version = 0
    var nextExpiryMs: Int?
    var byWarehouse: [String: StockLevels] = [:]

    /// - Parameter words: of HGETALL.
    init(_ words: [String]) {
        for i in stride(from: 0, to: words.count - 1, by: 2) {
            let (name, value) = (words[i], words[i + 1])
            guard let colon = name.lastIndex(of: ":") else {
                switch name {
                case "product": productID = value
                case "version": version = Int(value) ?? 0
                case "nextExpiry": nextExpiryMs = Int(value)
                default: break
                }
                continue
            }
            let warehouse = String(name[..<colon])
            switch name[name.index(after: colon)...] {
            case "quantity": byWarehouse[warehouse, default: StockLevels()].quantity = Int(value) ?? 0
            case "reserved": byWarehouse[warehouse, default: StockLevels()].reserved = Int(value) ?? 0
            case "inTransit": byWarehouse[warehouse, default: StockLevels()].inTransit = Int(value) ?? 0
            default: break
            }
        }
    }
}

/// What the API shows of one product in one warehouse.
struct InventoryJSON {
    static func members(
        _ levels: StockLevels, sku: SKU, productID: String, warehouse: String, place: Warehouse? = nil
    ) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("productId", .string(productID)), .init("sku", .string(sku.text)),
            .init("warehouseId", .string(warehouse)), .init("quantity", .int(levels.quantity)),
            .init("reserved", .int(levels.reserved)), .init("available", .int(levels.available)),
            .init("inTransit", .int(levels.inTransit)),
        ]
        if let place {
            members.append(.init("warehouseName", .string(place.name)))
            if let location = place.location { members.append(.init("warehouseLocation", .string(location))) }
        }
        return members
    }
}

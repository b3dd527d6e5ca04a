/// A place where stock lies.
struct Warehouse: Sendable, Equatable {
    /// 1 to 64 of `A-Z a-z 0-9 - _ .`
    var id: String
    var name: String
    var location: String?
    /// Degrees.
    var coordinates: Coordinates?
    /// Who is asked first where several can serve, smaller numbers first.
    var priority = 100
    /// What share of its stock, in thousandths, is kept for reservations with priority.
    var keptPerMille = 0
    var mayReserve = true
    var mayShip = true
    var mayReceive = true
    var version = 1

    struct Coordinates: Sendable, Equatable {
        var latitude: Double
        var longitude: Double
    }

    static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { $0 != 0x40 && SKU.isNameByte($0) }
    }
}

/// All warehouses, as one loop knows them. Never changed: another one takes its place.
final class WarehouseSet: Sendable {
    /// Goes up with each change.
    let revision: Int
    let byID: [String: Warehouse]
    /// In the order in which they are asked for stock.
    let byPriority: [Warehouse]

    init(_ warehouses: [Warehouse] = [], revision: Int = 0) {
        self.revision = revision
        byID = Dictionary(warehouses.map { ($0.id, $0) }) { $1 }
        byPriority = warehouses.sorted { ($0.priority, $0.id) < ($1.priority, $1.id) }
    }
}

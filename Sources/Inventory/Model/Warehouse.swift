import Glibc

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

    /// How far it is from a point, in km on the great circle; infinite where it has no coordinates.
    func distance(to point: Coordinates) -> Double {
        guard let coordinates else { return .infinity }
        let radians = Double.pi / 180
        let (a, b) = (coordinates.latitude * radians, point.latitude * radians)
        // The haversine formula (R. W. Sinnott, Sky and Telescope 68, 1984).
        let h =
            pow(sin((a - b) / 2), 2)
            + cos(a) * cos(b) * pow(sin((coordinates.longitude - point.longitude) * radians / 2), 2)
        return 2 * 6371 * asin(min(1, h.squareRoot()))
    }

    static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { $0 != 0x40 && SKU.isNameByte($0) }
    }
}

/// All warehouses, as one loop knows them. Never changed: another one takes its place.
final class WarehouseSet: Sendable {
    /// Another one with each change; larger, unless Redis has lost a part of the list's life.
    let revision: Int
    /// Those that were deleted a moment ago: nobody sees them.
    let closing: [String]
    /// When the list was read, from when to when, on the clock of all loops (µs).
    let readUs: ClosedRange<Int64>
    let byID: [String: Warehouse]
    /// In the order in which they are asked for stock.
    let byPriority: [Warehouse]
    /// Whether any of them keeps a share for those with priority.
    let keepsAnything: Bool

    init(
        _ warehouses: [Warehouse] = [], closing: [String] = [], revision: Int = 0, readUs: ClosedRange<Int64> = 0...0
    ) {
        self.revision = revision
        self.closing = closing
        self.readUs = readUs
        byID = Dictionary(warehouses.map { ($0.id, $0) }) { $1 }
        keepsAnything = warehouses.contains { $0.keptPerMille > 0 }
        byPriority = warehouses.sorted { ($0.priority, $0.id) < ($1.priority, $1.id) }
    }
}

import Bytes
import Services

/// A reservation of one product as it was asked for, before its warehouses are looked up.
struct ReservationDraft: Sendable {
    /// Who may give the stock.
    enum Source: Sendable, Equatable {
        case warehouse(String)
        /// Any one of those that may.
        case any(Order)
        /// Several, each a part.
        case split(Order)
    }

    /// Who is asked first.
    enum Order: Sendable, Equatable {
        case priority
        case distance(Warehouse.Coordinates)
    }

    /// An id or a SKU.
    var product: String
    var source: Source
    var quantity: Int
    var orderID: String?
    var end = ReserveStep.End.after(3_600_000)
    var priority = 0
    var waitsForStock = false
    var waitMs: Int?
    /// Reservations of the same product that this one takes the place of.
    var replaces: [StockID] = []
    var durability = Durability.memory

    static let longestHoldMs = 30 * 86_400_000
    static let mostPriority = 100
    static let mostReplaced = 20
    static let largestQuantity = 9_007_199_254_740_991

    /// When a hold is to end that says so with `expiresAt`. Whether that has passed, or is too far
    /// away, is judged by Redis's clock.
    static func end(_ text: String) throws(Problem) -> ReserveStep.End {
        guard let time = text.withByteView({ Timestamp(rfc3339: $0) }) else {
            throw .field("expiresAt", "must be a time such as 2026-11-23T10:00:00Z, with its offset")
        }
        return .at(Int(time.us / 1000))
    }
}

extension WarehouseSet {
    /// The warehouses that may give stock, in the order in which they are asked.
    func candidates(_ order: ReservationDraft.Order) -> [Warehouse] {
        let able = byPriority.filter(\.mayReserve)
        guard case .distance(let point) = order else { return able }
        // Those that lie nowhere come last.
        return able.enumerated().sorted {
            ($0.element.distance(to: point), $0.offset) < ($1.element.distance(to: point), $1.offset)
        }.map(\.element)
    }
}

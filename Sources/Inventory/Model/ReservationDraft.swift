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
    var durability = Durability.memory

    static let longestHoldMs = 30 * 86_400_000
    static let mostPriority = 100
    static let largestQuantity = 9_007_199_254_740_991
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

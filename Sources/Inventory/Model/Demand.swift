/// How much of a product is asked for, day by day, and what follows for ordering it.
struct Demand: Sendable, Equatable {
    /// Units a day, oldest first.
    var daily: [Double]

    /// Simple exponential smoothing (R. G. Brown, Exponential Smoothing for Predicting Demand, 1956):
    /// F(t+1) = α·y(t) + (1−α)·F(t), beginning with F(1) = y(0). The forecast is the same for every day to come.
    struct Forecast: Sendable, Equatable {
        /// Units a day.
        var perDay: Double
        /// Mean absolute error of each day's forecast from the days before it, in units.
        var meanAbsoluteError: Double
        /// The same as a share of the day's demand, over days that had any; nil when none had.
        var meanAbsolutePercentageError: Double?
        /// Root mean square of those errors.
        var rootMeanSquareError: Double
    }

    static let smoothing = 0.3
    /// Of the normal distribution, for stock to last in 95 of 100 lead times.
    static let serviceFactor = 1.645

    /// nil without a single day.
    func forecast(smoothing alpha: Double = Demand.smoothing) -> Forecast? {
        guard var forecast = daily.first else { return nil }
        var errors: [Double] = []
        var shares: [Double] = []
        for actual in daily.dropFirst() {
            let error = actual - forecast
            errors.append(error)
            if actual > 0 { shares.append(abs(error) / actual) }
            forecast = alpha * actual + (1 - alpha) * forecast
        }
        func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }
        return Forecast(
            perDay: forecast, meanAbsoluteError: mean(errors.map { abs($0) }),
            meanAbsolutePercentageError: shares.isEmpty ? nil : mean(shares),
            rootMeanSquareError: mean(errors.map { $0 * $0 }).squareRoot())
    }

    /// At which stock to order: what is asked for until the order arrives, and what chance may add: z·σ·√L (E. A. Silver,
    /// D. F. Pyke, R. Peterson, Inventory Management and Production Planning, 1998), or the safety stock that was set.
    static func reorderPoint(_ forecast: Forecast, leadTimeDays: Int, safetyStock: Int?) -> Int {
        let lead = Double(leadTimeDays)
        let safety = safetyStock.map { Double($0) } ?? serviceFactor * forecast.rootMeanSquareError * lead.squareRoot()
        return Int(min(mostUnits, (forecast.perDay * lead + safety).rounded(.up)))
    }

    /// No more is ever counted.
    private static let mostUnits = 9_007_199_254_740_991.0

    /// How much to order where `lacking` are wanted: whole multiples of what an order must be of.
    static func order(_ lacking: Int, unitsPerOrder: Int?) -> Int {
        let least = min(Int(mostUnits), max(0, lacking))
        guard let unit = unitsPerOrder, unit > 1 else { return least }
        let rest = least % unit
        return rest == 0 ? least : least - rest + unit
    }
}

/// Where a product's stock had better lie.
enum Placement {
    struct Place: Sendable, Equatable {
        var warehouse: String
        var available: Int
        /// Units a day.
        var demand: Double

        /// How long its stock lasts; nil where nothing is asked for.
        var daysOfCover: Double? { demand > 0 ? Double(available) / demand : nil }
    }

    struct Move: Sendable, Equatable {
        var from: String
        var to: String
        var quantity: Int
    }

    /// The moves after which every warehouse has the share of the stock that it has of the demand, largest first: the one
    /// with most to spare gives to the one that lacks most.
    static func moves(_ places: [Place]) -> [Move] {
        let stock = places.reduce(0) { $0.plus($1.available) }
        let demand = places.reduce(0) { $0 + $1.demand }
        guard demand > 0, stock > 0 else { return [] }
        var surplus = places.map { (name: $0.warehouse, units: $0.available - Int(Double(stock) * $0.demand / demand)) }
        var moves: [Move] = []
        while true {
            guard let giver = surplus.indices.max(by: { surplus[$0].units < surplus[$1].units }),
                let taker = surplus.indices.min(by: { surplus[$0].units < surplus[$1].units })
            else { return moves }
            let units = min(surplus[giver].units, -surplus[taker].units)
            // Less than a unit here or there comes from rounding.
            guard units > 0 else { return moves }
            moves.append(Move(from: surplus[giver].name, to: surplus[taker].name, quantity: units))
            surplus[giver].units -= units
            surplus[taker].units += units
        }
    }
}

import EventLoops
import Redis

/// One unit of a product reserved the way that first comes to mind: watch the counters, read them, judge, write, and try
/// again when somebody was quicker. It writes what the service writes for a reservation, in the same keys.
struct NaiveReservation {
    enum Outcome: Equatable {
        case done
        case conflict
        /// Trying again would not help.
        case failed(String)
    }

    private static let budgetUs: Int64 = 5_000_000
    private static let holdUs: Int64 = 900_000_000

    let sku: String
    /// 20 hex digits.
    let suffix: String
    private let warehouse = StockSetup.warehouse

    /// Three round trips on a connection that nobody else uses meanwhile: WATCH, HMGET, MULTI … EXEC.
    func attempt(on client: RedisClient) async -> Outcome {
        do {
            return try await client.transaction(key: stock, budgetUs: NaiveReservation.budgetUs) { transaction in
                try await transaction.watch([stock])
                let read = try await transaction.send(
                    ["HMGET", stock, "product", "\(warehouse):quantity", "\(warehouse):reserved"])
                guard case .array(let values) = read, values.count == 3, values[0] != .null,
                    let quantity = values[1].int
                else { return .failed("there is no stock of \(sku) in \(warehouse)") }
                let reserved = values[2].int ?? 0
                guard quantity - reserved >= 1 else { return .failed("\(sku) is sold out") }
                queueWrites(to: transaction, quantity: quantity, reserved: reserved + 1)
                switch await transaction.exec() {
                case .done: return .done
                case .conflict: return .conflict
                case .rejected(let error): return .failed("EXEC: \(error)")
                case .unknown: return .failed("EXEC: nobody knows whether it was done")
                }
            }
        } catch {
            return .failed("\(error)")
        }
    }

    private func queueWrites(to transaction: Transaction, quantity: Int, reserved: Int) {
        let nowMs = WallClock.nowUs() / 1000
        let endMs = nowMs + NaiveReservation.holdUs / 1000
        transaction.queue(["HINCRBY", stock, "version", "1"])
        transaction.queue(["HSET", stock, "\(warehouse):reserved", "\(reserved)"])
        transaction.queue([
            "HSET", "qm:reservation:{\(sku)}:\(suffix)", "status", "active", "allocation", "\(warehouse):1",
            "created", "\(nowMs)", "expires", "\(endMs)",
        ])
        transaction.queue(["ZADD", "qm:expiry:{\(sku)}", "\(endMs)", suffix])
        transaction.queue([
            "XADD", "qm:ledger:{\(sku)}", "*", "type", "reserve", "warehouse", warehouse, "change", "0,1,0",
            "after", "\(quantity),\(reserved),0", "id", suffix, "order", "", "reason", "", "actor", "naive",
            "key", "",
        ])
    }

    private var stock: String { "qm:stock:{\(sku)}" }
}

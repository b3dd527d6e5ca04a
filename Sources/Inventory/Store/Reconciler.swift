import JSON
import Redis
import Services

/// Compares a product's counters with what is held and with its ledger, and sets them right.
final class Reconciler {
    /// Counters of one warehouse that are not what they should be.
    struct Drift: Sendable, Equatable {
        var warehouse: String
        var counters: StockLevels
        /// By the ledger.
        var ledger: StockLevels
        /// By the holds and the transfers that there are; the quantity by the ledger.
        var expected: StockLevels
    }

    private let lanes: StockLanes
    private let ledger: LedgerReader
    private static let budgetUs: Int64 = 2_000_000
    /// How often a product is read anew that changes meanwhile.
    private static let mostAttempts = 20

    init(lanes: StockLanes) {
        self.lanes = lanes
        ledger = LedgerReader(lanes: lanes)
    }

    /// What is not as it should be; nil where there is no such product.
    /// - Parameter repairs: whether it is set right, by ledger entries.
    /// - Throws: `conflict` for a product that never stands still.
    func reconcile(_ sku: SKU, repairs: Bool, actor: String) async throws -> [Drift]? {
        for _ in 0..<Reconciler.mostAttempts {
            _ = try await lanes.perform([], on: sku)
            let stock = try await read(sku)
            if stock.productID.isEmpty { return nil }
            let held = try await held(sku)
            let replayed = try await ledger.replay(sku)
            // Every change goes up by a version: if it is the same, all of this is of one moment.
            guard try await read(sku).version == stock.version else { continue }
            let drifts = Reconciler.drifts(stock.byWarehouse, held: held, ledger: replayed)
            if drifts.isEmpty || !repairs { return drifts }
            if try await repair(sku, drifts, version: stock.version, actor) { return drifts }
        }
        throw Problem(.conflict, "\(sku) changes all the time; try again when it is quieter")
    }

    /// - Parameter held: reserved and in transit by what there is; no quantity.
    static func drifts(
        _ counters: [String: StockLevels], held: [String: StockLevels], ledger: [String: StockLevels]
    ) -> [Drift] {
        let warehouses = Set(counters.keys).union(held.keys).union(ledger.keys)
        return warehouses.sorted().compactMap { warehouse in
            let counters = counters[warehouse] ?? StockLevels()
            let ledger = ledger[warehouse] ?? StockLevels()
            var expected = held[warehouse] ?? StockLevels()
            expected.quantity = ledger.quantity
            if counters == expected, ledger == expected { return nil }
            return Drift(warehouse: warehouse, counters: counters, ledger: ledger, expected: expected)
        }
    }

    private func repair(_ sku: SKU, _ drifts: [Drift], version: Int, _ actor: String) async throws -> Bool {
        var version = version
        for drift in drifts {
            let lacking = drift.expected - drift.ledger
            let operation = JSONValue.object([
                .init("op", .string("correct")), .init("w", .string(drift.warehouse)), .init("version", .int(version)),
                .init("quantity", .int(drift.expected.quantity)), .init("reserved", .int(drift.expected.reserved)),
                .init("inTransit", .int(drift.expected.inTransit)),
                .init("change", .array([.int(lacking.quantity), .int(lacking.reserved), .int(lacking.inTransit)])),
                .init("reason", .string("reconcile")), .init("actor", .string(actor)),
            ])
            guard try await lanes.perform(operation, on: sku).word == "done" else { return false }
            version += 1
        }
        return true
    }

    private func read(_ sku: SKU) async throws -> ProductStock {
        let key = lanes.keys.stock(sku)
        return ProductStock(try await send(["HGETALL", key], key).strings ?? [])
    }

    /// What holds and open transfers say.
    private func held(_ sku: SKU) async throws -> [String: StockLevels] {
        var totals: [String: StockLevels] = [:]
        let keys = lanes.keys
        var start = 0
        while true {
            let expiry = keys.expiry(sku)
            let ids = try await send(["ZRANGE", expiry, String(start), String(start + 999)], expiry).strings ?? []
            for id in ids {
                let key = keys.reservation(sku, id)
                guard case .array(let values) = try await send(["HMGET", key, "status", "allocation"], key),
                    values.first?.string == "active"
                else { continue }
                for part in Hold.parts(values.last?.string ?? "") {
                    totals[part.warehouse, default: StockLevels()].reserved += part.quantity
                }
            }
            guard ids.count == 1000 else { break }
            start += 1000
        }
        let open = keys.openTransfers(sku)
        for id in try await send(["SMEMBERS", open], open).strings ?? [] {
            let key = keys.transfer(sku, id)
            let fields = StockReply(
                nowMs: 0, productID: "", word: "", rest: try await send(["HGETALL", key], key).strings ?? []
            ).fields
            guard let transfer = Transfer(fields, sku: sku, suffix: id) else { continue }
            if transfer.status == .pending {
                totals[transfer.from, default: StockLevels()].reserved += transfer.quantity
            }
            if transfer.status == .inTransit {
                totals[transfer.to, default: StockLevels()].inTransit += transfer.quantity
            }
        }
        return totals
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await lanes.context.redis.send(words, key: key, budgetUs: Reconciler.budgetUs)
    }
}

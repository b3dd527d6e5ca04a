import JSON
import Redis
import Services

/// Compares a product's counters with what is held and with its ledger, and sets them right, while it trades.
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

    /// What was found of a product, and what has become of it.
    struct Finding: Sendable {
        var drifts: [Drift] = []
        var isRepaired = false
        /// Holds and transfers that were not found where what is open is looked for.
        var unlisted: [StockID] = []
        /// What there is, by warehouse.
        var counters: [String: StockLevels] = [:]
        /// Why it can't be judged, or was not set right.
        var fault: String?
    }

    private let lanes: StockLanes
    private let auditor: StockAuditor
    /// How often a product is read anew that changes meanwhile.
    private static let mostAttempts = 5

    init(lanes: StockLanes) {
        self.lanes = lanes
        auditor = StockAuditor(lanes: lanes)
    }

    /// What is not as it should be; nil where there is no such product.
    /// - Parameter repairs: whether it is set right, by ledger entries.
    func reconcile(_ sku: SKU, repairs: Bool, actor: String) async throws -> Finding? {
        var unlisted: [StockBooks.Name] = []
        for _ in 0..<Reconciler.mostAttempts {
            guard let report = try await auditor.audit(sku) else { return nil }
            unlisted += report.unlisted
            var finding = Finding(
                drifts: report.drifts, unlisted: Reconciler.ids(unlisted, sku), counters: report.counters,
                fault: report.fault)
            if !repairs { return finding }
            // It is not judged by what it has that is unlisted, so that can be set right in any case.
            if !report.unlisted.isEmpty || report.isMisled { try await list(report, sku) }
            if report.fault != nil || report.drifts.isEmpty {
                finding.isRepaired = report.fault == nil
                return finding
            }
            if let drift = report.drifts.first(where: { $0.expected.reserved > $0.expected.quantity }) {
                finding.fault =
                    "in \(drift.warehouse) \(drift.expected.reserved) are reserved and \(drift.expected.quantity) would be there"
                return finding
            }
            let reply = try await correct(report, sku, actor)
            switch reply.word {
            case "done":
                finding.isRepaired = true
                return finding
            case "exceeds":
                finding.fault = "in \(reply.rest.first ?? "") \(reply.int(1)) would be reserved of \(reply.int(2))"
                return finding
            default: continue
            }
        }
        return Finding(unlisted: Reconciler.ids(unlisted, sku), fault: "it changes all the time")
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

    private func correct(_ report: AuditReport, _ sku: SKU, _ actor: String) async throws -> StockReply {
        func numbers(_ levels: StockLevels) -> JSONValue {
            .array([.int(levels.quantity), .int(levels.reserved), .int(levels.inTransit)])
        }
        let rows = report.drifts.map { drift in
            JSONValue.object([
                .init("w", .string(drift.warehouse)), .init("change", numbers(drift.expected - drift.counters)),
                .init("lacking", numbers(drift.expected - drift.ledger)),
            ])
        }
        var members: [JSONValue.Member] = [
            .init("op", .string("correct")), .init("rows", .array(rows)),
            .init("corrections", .int(report.corrections)),
            .init("reason", .string("reconcile")), .init("actor", .string(actor)),
        ]
        if report.drifts.contains(where: { $0.counters != $0.ledger }) {
            members.append(.init("at", .string(report.ledgerID)))
        }
        return try await lanes.perform(.object(members), on: sku)
    }

    private func list(_ report: AuditReport, _ sku: SKU) async throws {
        func ids(_ kind: Character) -> JSONValue {
            .array(report.unlisted.filter { $0.first == kind }.map { .string(String($0.dropFirst())) })
        }
        let operation = JSONValue.object([
            .init("op", .string("list")), .init("holds", ids("h")), .init("transfers", ids("t")),
        ])
        _ = try await lanes.perform(operation, on: sku)
    }

    private static func ids(_ names: [StockBooks.Name], _ sku: SKU) -> [StockID] {
        Set(names).sorted().map { StockID(sku: sku, suffix: String($0.dropFirst())) }
    }
}

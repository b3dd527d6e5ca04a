import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/inventory/reconcile`: whether counters, holds and ledgers add up.
final class ReconcileEndpoint {
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let products: ProductStore
    private let warehouses: Warehouses
    private let reconciler: Reconciler
    private static let mostProducts = 1000
    /// Products whose books are read at the same time.
    private static let atOnce = 20
    /// After this the answer says where to go on.
    private static let longestUs: Int64 = 2_000_000

    init(lanes: StockLanes, catalogue: Catalogue, products: ProductStore, warehouses: Warehouses) {
        self.lanes = lanes
        self.catalogue = catalogue
        self.products = products
        self.warehouses = warehouses
        reconciler = Reconciler(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/inventory/reconcile", role: .admin) { [unowned self] exchange, caller in
            try await reconcile(exchange, caller)
        }
    }

    /// `productId` for one product; else a part of all: `cursor` in the answer says where to go on.
    private func reconcile(_ exchange: Exchange, _ caller: Caller) async throws {
        var fields = try exchange.body.isEmpty ? Fields(.object([])) : Fields(exchange.jsonBody())
        let product = try fields.string("productId", max: 64)
        let repairs = try fields.bool("repair") ?? false
        let cursor = try fields.string("cursor", max: 256)
        try fields.finish()
        var answer = Answer(repairs: repairs)
        if let product {
            let sku = try await catalogue.sku(product)
            guard let finding = try await reconciler.reconcile(sku, repairs: repairs, actor: caller.name) else {
                throw Catalogue.unknown(sku.text)
            }
            answer.add(finding, sku, known: warehouses.set)
        } else {
            answer.cursor = try await reconcileAll(after: cursor, &answer, caller)
        }
        exchange.reply(200, json: answer.json)
    }

    /// - Returns: where to go on; nil: that was all.
    private func reconcileAll(
        after cursor: String?, _ answer: inout Answer, _ caller: Caller
    ) async throws -> String? {
        let names = try await products.names(after: cursor, limit: ReconcileEndpoint.mostProducts)
        let endUs = lanes.context.loop.nowUs + ReconcileEndpoint.longestUs
        let repairs = answer.repairs
        var rest = names[...]
        while let last = rest.prefix(ReconcileEndpoint.atOnce).last {
            let skus = rest.prefix(ReconcileEndpoint.atOnce).compactMap { SKU(code: $0) }
            let findings = await together(skus, on: lanes.context.loop) { [reconciler] sku in
                await ReconcileEndpoint.result {
                    try await reconciler.reconcile(sku, repairs: repairs, actor: caller.name)
                }
            }
            for (sku, finding) in zip(skus, findings) {
                switch finding {
                case .success(let finding?): answer.add(finding, sku, known: warehouses.set)
                case .success(nil): break
                case .failure(let error):
                    // Where there is one Redis, and it is away, nothing else can be looked at either.
                    if !lanes.context.redis.isCluster, !((error as? RedisError)?.isRefusal ?? false) { throw error }
                    answer.add(
                        Reconciler.Finding(fault: "its books could not be read: \(error)"), sku, known: warehouses.set)
                }
            }
            rest = rest.dropFirst(ReconcileEndpoint.atOnce)
            if lanes.context.loop.nowUs >= endUs, !rest.isEmpty { return last }
        }
        return names.count == ReconcileEndpoint.mostProducts ? names.last : nil
    }

    private static func result(
        _ body: () async throws -> Reconciler.Finding?
    ) async -> Result<Reconciler.Finding?, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }

    private struct Answer {
        let repairs: Bool
        var cursor: String?
        private var checked = 0
        private var drift: [JSONValue] = []
        private var unjudged: [JSONValue] = []
        private var unlisted: [JSONValue] = []
        private var astray: [JSONValue] = []

        init(repairs: Bool) { self.repairs = repairs }

        mutating func add(_ finding: Reconciler.Finding, _ sku: SKU, known: WarehouseSet) {
            let name = JSONValue.Member("sku", .string(sku.text))
            if finding.fault == nil { checked += 1 }
            for row in finding.drifts {
                drift.append(
                    .object([
                        name, .init("warehouseId", .string(row.warehouse)), .init("counters", row.counters.json),
                        .init("ledger", row.ledger.json), .init("expected", row.expected.json),
                        .init("repaired", .bool(finding.isRepaired)),
                    ]))
            }
            if let fault = finding.fault { unjudged.append(.object([name, .init("reason", .string(fault))])) }
            for (warehouse, levels) in finding.counters.sorted(by: { $0.key < $1.key })
            where levels != StockLevels() && known.byID[warehouse] == nil {
                astray.append(
                    .object([name, .init("warehouseId", .string(warehouse)), .init("counters", levels.json)]))
            }
            if !finding.unlisted.isEmpty {
                unlisted.append(
                    .object([
                        name, .init("ids", .array(finding.unlisted.prefix(100).map { .string($0.description) })),
                        .init("count", .int(finding.unlisted.count)), .init("repaired", .bool(repairs)),
                    ]))
            }
        }

        var json: JSONValue {
            var members: [JSONValue.Member] = [
                .init("checked", .int(checked)), .init("drifts", .int(drift.count)), .init("drift", .array(drift)),
                .init("unjudged", .array(unjudged)), .init("unlisted", .array(unlisted)),
                .init("unknownWarehouses", .array(astray)),
            ]
            if let cursor { members.append(.init("cursor", .string(cursor))) }
            return .object(members)
        }
    }
}

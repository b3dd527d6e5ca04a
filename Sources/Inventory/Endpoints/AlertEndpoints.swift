import HTTP
import JSON
import Redis
import Services

/// `/api/alerts/…`: where there is too little or too much.
final class AlertEndpoints {
    private let lanes: StockLanes
    private let products: ProductStore
    private let warehouses: Warehouses
    private let stock: StockReader
    private static let budgetUs: Int64 = 2_000_000

    init(lanes: StockLanes, products: ProductStore, warehouses: Warehouses) {
        self.lanes = lanes
        self.products = products
        self.warehouses = warehouses
        stock = StockReader(lanes: lanes)
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/alerts/low-stock", role: .read) { [unowned self] exchange, _ in try await list(exchange) }
        routes.on(.post, "/api/alerts/{id}/acknowledge", role: .sell) { [unowned self] exchange, caller in
            let text = exchange.parameter(0)
            guard let (sku, warehouse, number) = StockAlert.parts(text) else { throw AlertEndpoints.missing(text) }
            let reply = try await lanes.context.redis.run(
                InventoryScripts.alert, keys: [lanes.keys.alert(sku, warehouse: warehouse)],
                arguments: ["acknowledge", String(number), "", caller.name], budgetUs: AlertEndpoints.budgetUs)
            if reply.string == "ended" { throw Problem(.conflict, "the alert is resolved") }
            guard let words = reply.strings, let alert = AlertEndpoints.alert(Array(words.dropFirst()), sku, warehouse)
            else { throw AlertEndpoints.missing(text) }
            exchange.reply(200, json: try await json(alert))
        }
    }

    /// The latest change first. `status`, `level`, `warehouseId` choose among them; `groupBy=product` puts those of a product
    /// together.
    private func list(_ exchange: Exchange) async throws {
        let page = try Page(exchange)
        func choice<Word: RawRepresentable & CaseIterable>(_ name: StaticString, _ type: Word.Type) throws -> Word?
        where Word.RawValue == String {
            guard let text = exchange.queryItem(name) else { return nil }
            guard let word = Word(rawValue: text) else {
                let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.field("\(name)", "must be one of \(known)")
            }
            return word
        }
        enum Grouping: String, CaseIterable { case product }
        let status = try choice("status", StockAlert.Status.self)
        let level = try choice("level", StockAlert.Level.self)
        let grouping = try choice("groupBy", Grouping.self)
        let warehouse = exchange.queryItem("warehouseId")
        let start = try page.place(ListOffset.init) ?? .start
        let (alerts, looked) = try await read(from: start, limit: page.limit)
        var rows: [(SKU, JSONValue)] = []
        for alert in alerts {
            guard status == nil || alert.status == status, level == nil || alert.level == level,
                warehouse == nil || alert.warehouse == warehouse
            else { continue }
            rows.append((alert.sku, try await json(alert)))
        }
        exchange.beginReply(200)
        if looked == page.limit {
            page.addNextLink(
                "\(start.value + looked)", to: exchange, keeping: ["status", "level", "warehouseId", "groupBy"])
        }
        let answer = grouping == nil ? rows.map(\.1) : AlertEndpoints.grouped(rows)
        exchange.finishReply(contentType: "application/json") { JSONValue.array(answer).write(to: $0) }
    }

    private static func grouped(_ rows: [(SKU, JSONValue)]) -> [JSONValue] {
        var order: [SKU] = []
        var groups: [SKU: [JSONValue]] = [:]
        for (sku, json) in rows {
            if groups[sku] == nil { order.append(sku) }
            groups[sku, default: []].append(json)
        }
        return order.map { sku in
            .object([
                .init("sku", .string(sku.text)), .init("product", groups[sku]?.first?["product"] ?? .null),
                .init("alerts", .array(groups[sku] ?? [])),
            ])
        }
    }

    /// Alerts in the order of the list, and how many names were looked at.
    func read(from start: ListOffset, limit: Int) async throws -> ([StockAlert], looked: Int) {
        let key = lanes.keys.alerts
        let names = try await send(["ZREVRANGE", key, String(start.value), String(start.value + limit - 1)], key).strings ?? []
        var found: [StockAlert] = []
        for name in names {
            guard let (sku, warehouse) = StockOutbox.place(name) else { continue }
            let hash = lanes.keys.alert(sku, warehouse: warehouse)
            let words = try await send(["HGETALL", hash], hash).strings ?? []
            if let alert = AlertEndpoints.alert(words, sku, warehouse) {
                found.append(alert)
            } else {
                // Resolved long ago.
                _ = try await send(["ZREM", key, name], key)
            }
        }
        return (found, names.count)
    }

    func json(_ alert: StockAlert) async throws -> JSONValue {
        let product = try await products.find(alert.sku)
        let levels = try await stock.read(alert.sku)?.byWarehouse[alert.warehouse]
        return alert.json(
            product: product, place: warehouses.set.byID[alert.warehouse], levels: levels ?? StockLevels())
    }

    private static func alert(_ words: [String], _ sku: SKU, _ warehouse: String) -> StockAlert? {
        StockAlert(
            StockReply(nowMs: 0, productID: "", word: "", rest: words).fields, sku: sku, warehouse: warehouse)
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await lanes.context.redis.send(words, key: key, budgetUs: AlertEndpoints.budgetUs)
    }

    private static func missing(_ id: String) -> Problem { Problem(.notFound, "there is no alert \(id.prefix(100))") }
}

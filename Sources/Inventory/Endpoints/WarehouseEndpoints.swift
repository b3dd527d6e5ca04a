import HTTP
import JSON
import Services

/// `/api/warehouses`: the places where stock lies.
final class WarehouseEndpoints {
    private let store: WarehouseStore
    private let warehouses: Warehouses
    private let products: ProductStore

    init(store: WarehouseStore, warehouses: Warehouses, products: ProductStore) {
        self.store = store
        self.warehouses = warehouses
        self.products = products
    }

    func add(to routes: Routes) {
        routes.on(.get, "/api/warehouses", role: .read) { [unowned self] exchange, _ in
            let set = try await reread()
            exchange.reply(200, json: .array(set.byPriority.map(\.json)))
        }
        routes.on(.post, "/api/warehouses", role: .admin) { [unowned self] exchange, _ in
            var warehouse = try Warehouse(exchange.jsonBody())
            warehouse.version = 1
            try await store.create(warehouse)
            _ = try await reread()
            reply(201, warehouse, to: exchange)
        }
        routes.on(.get, "/api/warehouses/{id}", role: .read) { [unowned self] exchange, _ in
            reply(200, try await find(exchange), to: exchange)
        }
        routes.on(.put, "/api/warehouses/{id}", role: .admin) { [unowned self] exchange, _ in
            let match = try exchange.ifMatch()
            let body = try exchange.jsonBody()
            let known = try await find(exchange)
            try match.check(known.version)
            var warehouse = try Warehouse(body, id: known.id)
            warehouse.version = known.version + 1
            try await store.update(warehouse, version: known.version)
            _ = try await reread()
            reply(200, warehouse, to: exchange, before: known.version)
        }
        routes.on(.delete, "/api/warehouses/{id}", role: .admin) { [unowned self] exchange, _ in
            let match = try exchange.ifMatch()
            let known = try await find(exchange)
            try match.check(known.version)
            try await checkIsEmpty(known.id)
            try await store.close(known.id, version: known.version)
            _ = try await reread()
            // Somebody may have put stock there since it was looked at; whoever does so later is found by the feed.
            do { try await checkIsEmpty(known.id) } catch {
                try await store.open(known.id)
                _ = try await reread()
                throw error
            }
            exchange.change = Change(known.id, before: known.version)
            exchange.beginReply(204)
            exchange.finishReply()
        }
    }

    private func checkIsEmpty(_ id: String) async throws {
        if let sku = try await products.firstWithStock(in: id) {
            throw Problem(.conflict, "there is stock of \(sku) in \(id), or on its way from or to it")
        }
    }

    private func find(_ exchange: Exchange) async throws -> Warehouse {
        let id = exchange.parameter(0)
        guard let warehouse = try await reread().byID[id] else {
            throw Problem(.notFound, "there is no warehouse \(id.prefix(80))")
        }
        return warehouse
    }

    private func reread() async throws -> WarehouseSet {
        let set = try await store.read()
        warehouses.replace(set)
        return set
    }

    private func reply(_ status: Int, _ warehouse: Warehouse, to exchange: Exchange, before: Int? = nil) {
        exchange.change = Change(warehouse.id, before: before, after: warehouse.version)
        exchange.beginReply(status)
        exchange.addHeader("ETag", "\"\(warehouse.version)\"")
        exchange.finishReply(contentType: "application/json") { warehouse.json.write(to: $0) }
    }
}

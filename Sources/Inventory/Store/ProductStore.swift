import Redis
import Services

/// Products in Redis.
final class ProductStore {
    let context: ServiceContext
    let keys: StockKeys
    static let budgetUs: Int64 = 2_000_000
    /// Has alerts looked at anew after a change of thresholds.
    var onChanged: ((SKU) async -> Void)?

    init(context: ServiceContext, keys: StockKeys) {
        self.context = context
        self.keys = keys
    }

    /// Makes a product. What finds it is written before it: a name without its product reads as absent.
    /// - Throws: `conflict` where one of this SKU is there, unless it is the very same one.
    func create(_ product: Product) async throws -> Product {
        _ = try await send(["ZADD", keys.products, "0", product.sku.code], keys.products)
        let id = keys.productID(product.id)
        _ = try await send(["SET", id, product.sku.code], id)
        let words = try await run("create", product, version: nil)
        if words.first == "exists", words.count > 1 {
            if let known = Product(Array(words.dropFirst())), known.id == product.id {
                guard known.version > 1 || known.fields == product.fields else {
                    throw Problem.impossible("Idempotency-Key", "was used before with another body")
                }
                return known
            }
            _ = try await send(["DEL", id], id)
            throw Problem(.conflict, "there is a product \(product.sku) already", field: "sku")
        }
        return try made(words)
    }

    /// - Parameter version: the one it must have now.
    func update(_ product: Product, version: Int?) async throws -> Product {
        let words = try await run("update", product, version: version)
        if words.first == "missing" { throw Catalogue.unknown(product.sku.text) }
        if words.first == "version" {
            throw Problem(.preconditionFailed, "it has changed: its version is \(words.last ?? "") now")
        }
        let changed = try made(words)
        await onChanged?(product.sku)
        return changed
    }

    func find(_ sku: SKU) async throws -> Product? {
        let key = keys.product(sku)
        return Product(try await send(["HGETALL", key], key).strings ?? [])
    }

    /// The products of SKUs, in their order, read in one write.
    func find(_ skus: [SKU]) async throws -> [Product?] {
        try await together(skus, on: context.loop) { [self] sku in try await find(sku) }
    }

    /// SKUs by name, from behind `cursor`; some may have no product.
    func names(after cursor: String?, limit: Int) async throws -> [String] {
        let reply = try await send(
            ["ZRANGE", keys.products, cursor.map { "(" + $0 } ?? "-", "+", "BYLEX", "LIMIT", "0", String(limit)],
            keys.products)
        return reply.strings ?? []
    }

    /// Whether there is anything of any product in a warehouse, or on its way from or to it.
    func firstWithStock(in warehouse: String) async throws -> SKU? {
        var cursor: String?
        while true {
            let names = try await names(after: cursor, limit: 500)
            let skus = names.compactMap { SKU(code: $0) }
            let areThere = try await together(skus, on: context.loop) { [self] sku -> Bool in
                let key = keys.stock(sku)
                let reply = try await send(
                    ["HMGET", key] + ["quantity", "reserved", "inTransit"].map { "\(warehouse):\($0)" }, key)
                if case .array(let counters) = reply, counters.contains(where: { $0.int ?? 0 != 0 }) { return true }
                return try await hasTransfer(sku, warehouse)
            }
            if let at = areThere.firstIndex(of: true) { return skus[at] }
            guard names.count == 500 else { return nil }
            cursor = names.last
        }
    }

    private func hasTransfer(_ sku: SKU, _ warehouse: String) async throws -> Bool {
        let open = keys.openTransfers(sku)
        let ids = try await send(["SMEMBERS", open], open).strings ?? []
        return try await inParts(ids, on: context.loop) { [self] id in
            let key = keys.transfer(sku, id)
            return try await send(["HMGET", key, "from", "to"], key).strings?.contains(warehouse) ?? false
        }.contains(true)
    }

    private func made(_ words: [String]) throws -> Product {
        guard words.first == "done", let product = Product(Array(words.dropFirst())) else {
            throw RedisError.unexpectedReply("product")
        }
        return product
    }

    private func run(_ word: String, _ product: Product, version: Int?) async throws -> [String] {
        let reply = try await context.redis.run(
            InventoryScripts.product,
            keys: [keys.product(product.sku), keys.stock(product.sku), keys.whole(product.sku)],
            arguments: [word, "", version.map { String($0) } ?? ""] + product.fields, budgetUs: ProductStore.budgetUs)
        return reply.strings ?? reply.string.map { [$0] } ?? []
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await context.redis.send(words, key: key, budgetUs: ProductStore.budgetUs)
    }
}

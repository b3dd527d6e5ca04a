import Bytes
import Digests
import HTTP
import JSON
import Services

/// `/api/products`: what there is stock of.
final class ProductEndpoints {
    private let store: ProductStore
    private let catalogue: Catalogue

    init(store: ProductStore, catalogue: Catalogue) {
        self.store = store
        self.catalogue = catalogue
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/products", role: .admin) { [unowned self] exchange, caller in
            let key = try IdempotencyKey(exchange, caller: caller)
            // Under a key the id is the same each time, so a repeated request finds its own product.
            let id = ProductEndpoints.uuid(key?.name ?? RandomID.hex(bytes: 16))
            let product = try Product(exchange.jsonBody(), id: id)
            try await KeyClaims.claim(key, store.keys, store.context.redis)
            let made = try await store.create(product)
            reply(201, made, to: exchange)
        }
        routes.on(.get, "/api/products", role: .read) { [unowned self] exchange, _ in try await list(exchange) }
        routes.on(.get, "/api/products/{id}", role: .read) { [unowned self] exchange, _ in
            reply(200, try await find(exchange), to: exchange)
        }
        routes.on(.put, "/api/products/{id}", role: .admin) { [unowned self] exchange, _ in
            let match = try exchange.ifMatch()
            let body = try exchange.jsonBody()
            let known = try await find(exchange)
            try match.check(known.version)
            let changed = try Product(body, id: known.id, known: known)
            let isConditional = if case .anything = match { false } else { true }
            let updated = try await store.update(changed, version: isConditional ? known.version : nil)
            reply(200, updated, to: exchange, before: known.version)
        }
    }

    private func find(_ exchange: Exchange) async throws -> Product {
        let name = exchange.parameter(0)
        guard let product = try await store.find(catalogue.sku(name)) else { throw Catalogue.unknown(name) }
        return product
    }

    private func list(_ exchange: Exchange) async throws {
        let page = try Page(exchange)
        let category = exchange.queryItem("category")
        let names = try await store.names(after: try page.place { SKU($0) }?.text, limit: page.limit)
        var products: [JSONValue] = []
        for product in try await store.find(names.compactMap { SKU($0) }).compactMap({ $0 })
        where category == nil || product.category == category {
            products.append(product.json)
        }
        exchange.beginReply(200)
        if names.count == page.limit, let last = names.last {
            page.addNextLink(last, to: exchange, keeping: ["category"])
        }
        exchange.finishReply(contentType: "application/json") { JSONValue.array(products).write(to: $0) }
    }

    private func reply(_ status: Int, _ product: Product, to exchange: Exchange, before: Int? = nil) {
        if status == 201 || before != nil {
            exchange.change = Change(product.sku.text, before: before, after: product.version)
        }
        exchange.beginReply(status)
        exchange.addHeader("ETag", "\"\(product.version)\"")
        if status == 201 { exchange.addHeader("Location", "/api/products/\(product.id)") }
        exchange.finishReply(contentType: "application/json") { product.json.write(to: $0) }
    }

    /// 32 hex digits as a UUID (RFC 9562, version 8: its bits are of our own making).
    static func uuid(_ hex: String) -> String {
        var digits = Array(hex)
        digits[12] = "8"
        digits[16] = "8"
        return [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
            .map { String($0) }.joined(separator: "-")
    }
}

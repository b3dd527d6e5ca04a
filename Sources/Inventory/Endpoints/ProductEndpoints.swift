import Bytes
import Digests
import EventLoops
import HTTP
import JSON
import Services

/// `/api/products`: what there is stock of.
final class ProductEndpoints {
    let store: ProductStore
    private let catalogue: Catalogue
    private static let readAtOnce = 100

    init(store: ProductStore, catalogue: Catalogue) {
        self.store = store
        self.catalogue = catalogue
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/products", role: .admin) { [unowned self] exchange, caller in
            let key = try IdempotencyKey(exchange, caller: caller)
            var product = try Product(exchange.jsonBody(), id: "")
            product.id = ProductEndpoints.id(of: product.sku, key)
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
            // What was read and is put back changes nothing, its version neither.
            if changed.fields == known.fields { return reply(200, known, to: exchange) }
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
        let names = try await store.names(after: try page.place { SKU(code: $0) }?.code, limit: page.limit)
        let list = JSONList()
        var slices = WorkSlices(exchange.loop)
        var read = 0
        while read < names.count, !list.isFull {
            let part = names[read..<min(names.count, read + ProductEndpoints.readAtOnce)]
            let products = try await store.find(part.compactMap { SKU(code: $0) })
            for product in products {
                // A name without a product is passed over.
                if let product, category == nil || product.category == category { list.append(product.json) }
                await slices.pauseIfLong()
            }
            read += part.count
        }
        exchange.beginReply(200)
        if read > 0, read < names.count || names.count == page.limit {
            page.addNextLink(names[read - 1], to: exchange, keeping: ["category"])
        }
        exchange.finishReply(contentType: "application/json") { $0.append(list.end()) }
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

    /// Under a key a SKU's id is the same each time, so a repeated request finds its own product; another SKU's is another
    /// one, since the key may come again after its time.
    private static func id(of sku: SKU, _ key: IdempotencyKey?) -> String {
        guard let key else { return uuid(RandomID.hex(bytes: 16)) }
        let scope = ByteBuffer()
        scope.append("\(key.name)\n\(sku.text)")
        let text = ByteBuffer(capacity: 64)
        SHA256.hash(scope.view).withByteView { text.append(hex: $0.slice(0, 16)) }
        return uuid(text.view.string)
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

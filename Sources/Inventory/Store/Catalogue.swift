import Redis
import Services

/// Which SKU an id or a SKU stands for. A product's id and SKU never change, so what is known stays known.
final class Catalogue {
    private let context: ServiceContext
    private let keys: StockKeys
    private var skus: [String: SKU] = [:]
    private static let mostKnown = 100_000

    init(context: ServiceContext, keys: StockKeys) {
        self.context = context
        self.keys = keys
    }

    /// The SKU of a text that is one, or of a product's id that has been looked up before; no I/O. Whether there is such a
    /// product is for its slot to say.
    func known(_ idOrSKU: String) -> SKU? { SKU(idOrSKU) ?? skus[idOrSKU] }

    /// The SKU for an id or a SKU.
    /// - Throws: `notFound` for what can be neither, and for an id nobody has.
    func sku(_ idOrSKU: String) async throws -> SKU {
        if let sku = known(idOrSKU) { return sku }
        guard ProductID.isShaped(idOrSKU) else { throw Catalogue.unknown(idOrSKU) }
        let id = idOrSKU.lowercased()
        let key = keys.productID(id)
        let reply = try await context.redis.send(["GET", key], key: key, budgetUs: 2_000_000)
        guard let text = reply.string, let sku = SKU(code: text) else { throw Catalogue.unknown(idOrSKU) }
        if skus.count >= Catalogue.mostKnown { skus.removeAll() }
        skus[id] = sku
        skus[idOrSKU] = sku
        return sku
    }

    static func unknown(_ idOrSKU: String) -> Problem {
        Problem(.notFound, "there is no product \(idOrSKU.prefix(80))")
    }
}

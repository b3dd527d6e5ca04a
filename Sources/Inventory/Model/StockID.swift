import Bytes

/// Names a hold, an adjustment or a transfer: the SKU in whose slot it lies, and 20 hex digits (`SKU-1~9f86d081884c7d659a2f`).
/// A reservation over several SKUs has `order` in the SKU's place, and each of its holds the same digits.
struct StockID: Sendable, Hashable, CustomStringConvertible {
    /// nil for a reservation over several SKUs.
    let sku: SKU?
    let suffix: String

    init(sku: SKU?, suffix: String) {
        self.sku = sku
        self.suffix = suffix
    }

    /// nil for text that names nothing.
    init?(_ text: String) {
        guard let mark = text.lastIndex(of: "~") else { return nil }
        let name = String(text[..<mark])
        suffix = String(text[text.index(after: mark)...])
        guard suffix.utf8.count == StockID.digits,
            suffix.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        if name == SKU.orders {
            sku = nil
        } else {
            guard let named = SKU(code: name) else { return nil }
            sku = named
        }
    }

    static let digits = 20

    var description: String { (sku?.code ?? SKU.orders) + "~" + suffix }
}

import Bytes

/// Names a product for people, and its slot in Redis: 1 to 64 of `A-Z a-z 0-9 - _ . @`, fixed for the product's life.
public struct SKU: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// nil for text that names none: another alphabet, the shape of a product's id, which an answer could confuse, or a word
    /// that stands in a SKU's place in a path or an id.
    public init?(_ text: String) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(SKU.isNameByte), !SKU.reserved.contains(text),
            !ProductID.isShaped(text)
        else { return nil }
        self.text = text
    }

    /// Stands where the SKU would in the id of a reservation over several SKUs.
    static let orders = "order"

    private static let reserved: Set<String> = [
        orders, "events", "reorder", "placement", "reconcile", "bulk", "bulk-adjust", "export", "import",
    ]

    public var description: String { text }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x40, 0x5F: true
        default: false
        }
    }
}

/// The id that a product was given: a random UUID.
enum ProductID {
    static func isShaped(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        for (i, byte) in text.utf8.enumerated() {
            if i == 8 || i == 13 || i == 18 || i == 23 {
                guard byte == 0x2D else { return false }
            } else {
                guard (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20) else { return false }
            }
        }
        return true
    }
}

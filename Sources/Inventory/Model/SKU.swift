import Bytes

/// Names a product for people, and its slot in Redis: 1 to 64 bytes of any text in one line that neither begins nor ends
/// with a blank, fixed for the product's life.
public struct SKU: Sendable, Hashable, CustomStringConvertible {
    /// The SKU where only `A-Z a-z 0-9 - _ . @ ~` may stand: in keys, in ids, in lists of Redis. Each byte of another kind
    /// is `~` and two hex digits there. Two SKUs are the same when their codes are.
    public let code: String

    /// The SKU as people write it.
    public var text: String { SKU.decoded(code) ?? code }

    /// nil for text that names none: another shape, that of a product's id, which an answer could confuse, or a word that
    /// stands in a SKU's place in a path or an id.
    public init?(_ text: String) {
        guard (1...64).contains(text.utf8.count), !SKU.reserved.contains(text), !ProductID.isShaped(text) else {
            return nil
        }
        if text.utf8.allSatisfy(SKU.isNameByte) {
            code = text
        } else {
            let scalars = text.unicodeScalars
            guard let first = scalars.first, let last = scalars.last, !SKU.isBlank(first), !SKU.isBlank(last),
                !scalars.contains(where: SKU.endsLine)
            else { return nil }
            code = SKU.encoded(text)
        }
    }

    /// - Parameter code: what `code` made; nil for anything else.
    init?(code: String) {
        guard let text = SKU.decoded(code), let sku = SKU(text), sku.code == code else { return nil }
        self = sku
    }

    /// Stands where the SKU would in the id of a reservation over several SKUs.
    static let orders = "order"

    private static let reserved: Set<String> = [
        orders, "events", "reorder", "placement", "reconcile", "bulk", "bulk-adjust", "export", "import",
    ]

    public var description: String { text }

    // MARK: Code

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x40, 0x5F: true
        default: false
        }
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }

    /// Control characters, and the two of Unicode that end a line.
    private static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control || scalar == "\u{2028}" || scalar == "\u{2029}"
    }

    private static let mark = UInt8(ascii: "~")

    private static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isNameByte(byte) { bytes.append(byte) } else { bytes += [mark, digit(byte >> 4), digit(byte & 15)] }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func decoded(_ code: String) -> String? {
        guard code.utf8.contains(mark) else { return code }
        var bytes: [UInt8] = []
        var rest = Substring(code).utf8
        while let byte = rest.popFirst() {
            guard byte == mark else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(value), let low = rest.popFirst().flatMap(value) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        default: nil
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

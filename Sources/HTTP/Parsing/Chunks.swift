import Bytes

/// `chunk-size [chunk-ext] CRLF` (RFC 9112, section 7.1).
enum Chunks {
    static let badSize = Refusal.malformed("A chunk size is malformed.")
    static let badEnd = Refusal.malformed("A chunk is longer than its size says.")
    static let tooMuchFraming = Refusal.malformed("The chunked body is mostly framing.")

    /// The longest line taken, extensions included.
    static let lineBytes = 1024
    /// How far framing may outgrow the data before it is an attack.
    static let excessBytes = 16384

    /// The size a line gives, its CRLF not included. Extensions are passed over; white space may stand before their
    /// semicolon and nowhere else.
    static func size(_ line: ByteView) -> Int? {
        var at = 0
        var value = 0
        while at < line.count, let digit = hexDigit(line.base[at]) {
            // Fifteen digits cannot overflow, and no honest size has more.
            guard at < 15 else { return nil }
            value = value << 4 | digit
            at += 1
        }
        guard at > 0 else { return nil }
        if at == line.count { return value }
        while at < line.count, line.base[at] == 0x20 || line.base[at] == 0x09 { at += 1 }
        guard at < line.count, line.base[at] == 0x3B, Characters.areValue(line.base, at, line.count) else { return nil }
        return value
    }

    private static func hexDigit(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte) - 0x30
        case 0x41...0x46: Int(byte) - 0x41 + 10
        case 0x61...0x66: Int(byte) - 0x61 + 10
        default: nil
        }
    }
}

import Bytes

/// Percent-encoding of URIs (RFC 3986, section 2.1). A percent sign without two hex digits stands for itself.
enum PercentEncoding {
    static func decodePath(_ text: ByteView) -> String { decode(text, plusIsSpace: false) }

    /// As HTML forms encode: a plus is a space.
    static func decodeQuery(_ text: ByteView) -> String { decode(text, plusIsSpace: true) }

    /// Whether `text`, once decoded as in a query, is `other`.
    static func equals(_ text: ByteView, _ other: StaticString) -> Bool {
        if text == other { return true }
        guard text.firstIndex(of: 0x25) != nil || text.firstIndex(of: 0x2B) != nil else { return false }
        return decodeQuery(text).withByteView { $0 == other }
    }

    private static func decode(_ text: ByteView, plusIsSpace: Bool) -> String {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(text.count, 1)) { room in
            var from = 0
            var to = 0
            while from < text.count {
                var byte = text[from]
                from += 1
                if byte == 0x25, from + 1 < text.count, let high = hex(text[from]), let low = hex(text[from + 1]) {
                    byte = high << 4 | low
                    from += 2
                } else if byte == 0x2B, plusIsSpace {
                    byte = 0x20
                }
                room[to] = byte
                to += 1
            }
            return String(decoding: UnsafeBufferPointer(rebasing: room[..<to]), as: UTF8.self)
        }
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

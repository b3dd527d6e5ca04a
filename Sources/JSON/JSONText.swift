import Bytes
import Glibc

/// A string of a JSON text, checked but still as it was written: most strings have no escapes, and most are only
/// compared. It holds as long as the bytes that were read.
public struct JSONText {
    /// What stands between the quotes. UTF-8.
    public let raw: ByteView
    public let hasEscapes: Bool

    init(raw: ByteView, hasEscapes: Bool) {
        self.raw = raw
        self.hasEscapes = hasEscapes
    }

    /// A copy, unescaped.
    public var string: String {
        hasEscapes ? withUnescaped { $0.string } : raw.string
    }

    /// Appends the unescaped bytes.
    public func append(to buffer: ByteBuffer) {
        guard hasEscapes else { return buffer.append(raw) }
        // An escape is never shorter than what it stands for.
        buffer.didAppend(unescape(to: buffer.reserve(raw.count)))
    }

    /// Calls `body` with the unescaped bytes, which hold during the call only.
    public func withUnescaped<Result>(_ body: (ByteView) throws -> Result) rethrows -> Result {
        guard hasEscapes else { return try body(raw) }
        return try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: raw.count) { room in
            let target = room.baseAddress.unsafelyUnwrapped
            return try body(ByteView(base: target, count: unescape(to: target)))
        }
    }

    public static func == (text: JSONText, other: StaticString) -> Bool {
        text.hasEscapes ? text.withUnescaped { $0 == other } : text.raw == other
    }

    public static func == (text: JSONText, other: ByteView) -> Bool {
        text.hasEscapes ? text.withUnescaped { $0 == other } : text.raw == other
    }

    public static func == (text: JSONText, other: JSONText) -> Bool {
        other.hasEscapes ? other.withUnescaped { text == $0 } : text == other.raw
    }

    private func unescape(to target: UnsafeMutablePointer<UInt8>) -> Int {
        var from = 0
        var to = 0
        while from < raw.count {
            let plain = (raw.firstIndex(of: 0x5C, from: from) ?? raw.count) - from
            memcpy(target + to, raw.base + from, plain)
            from += plain
            to += plain
            guard from < raw.count else { break }
            switch raw[from + 1] {
            case 0x75:
                var scalar = Hex.four(raw.base, from + 2, raw.count) ?? 0xFFFD
                from += 6
                if (0xD800...0xDBFF).contains(scalar) {
                    let low = Hex.four(raw.base, from + 2, raw.count) ?? 0xDC00
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    from += 6
                }
                to += UTF8Sequences.write(scalar, to: target + to)
                continue
            case 0x62: target[to] = 0x08
            case 0x66: target[to] = 0x0C
            case 0x6E: target[to] = 0x0A
            case 0x72: target[to] = 0x0D
            case 0x74: target[to] = 0x09
            case let same: target[to] = same
            }
            to += 1
            from += 2
        }
        return to
    }
}

import Bytes
import Glibc

extension ByteBuffer {
    /// Appends `text` as the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, each on its own.
    public func appendJSON(string text: ByteView) {
        let raw = UnsafeRawPointer(text.base)
        var at = 0
        var plainFrom = 0
        while at < text.count {
            if at &+ 8 <= text.count {
                let special = EightBytes.special(raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                if special == 0 {
                    at &+= 8
                    continue
                }
                at &+= special.trailingZeroBitCount / 8
            }
            let byte = text.base[at]
            if byte >= 0x20, byte != 0x22, byte != 0x5C {
                let length = byte < 0x80 ? 1 : UTF8Sequences.length(text.base, at, text.count)
                if length > 0 {
                    at &+= length
                    continue
                }
            }
            append(text.slice(plainFrom, at))
            appendEscape(byte)
            at &+= 1
            plainFrom = at
        }
        append(text.slice(plainFrom, text.count))
    }

    private func appendEscape(_ byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"")
        case 0x5C: append("\\\\")
        case 0x0A: append("\\n")
        case 0x0D: append("\\r")
        case 0x09: append("\\t")
        case 0x80...: append("\u{FFFD}")
        default:
            append("\\u00")
            var one = byte
            append(hex: ByteView(base: &one, count: 1))
        }
    }
}

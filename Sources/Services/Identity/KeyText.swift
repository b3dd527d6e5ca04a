import Bytes
import Digests

/// Outside text as a part of a Redis key: bytes other than `A-Z a-z 0-9 - _ . ~ @` are percent-encoded, so that
/// `{ } :` and spaces can neither collide nor choose a slot; text above 256 bytes stands as `sha256~…`, and so does text
/// that looks like such a digest, or it could pass for the longer one.
public enum KeyText {
    static let longest = 256
    private static let digestLength = 7 + 2 * SHA256.byteCount

    public static func appendEscaped(_ text: ByteView, to key: ByteBuffer) {
        if text.count > longest || (text.count == digestLength && text.hasPrefix("sha256~")) {
            key.append("sha256~")
            SHA256.hash(text).withByteView { key.append(hex: $0) }
            return
        }
        let target = key.reserve(text.count * 3)
        var length = 0
        for i in 0..<text.count {
            let byte = text[i]
            if isPlain(byte) {
                target[length] = byte
                length += 1
            } else {
                let digits: StaticString = "0123456789ABCDEF"
                target[length] = UInt8(ascii: "%")
                target[length + 1] = digits.utf8Start[Int(byte >> 4)]
                target[length + 2] = digits.utf8Start[Int(byte & 15)]
                length += 3
            }
        }
        key.didAppend(length)
    }

    public static func escaped(_ text: String) -> String {
        let buffer = ByteBuffer(capacity: text.utf8.count * 3 + 16)
        text.withByteView { appendEscaped($0, to: buffer) }
        return buffer.view.string
    }

    /// The text that `escaped` made this of; nil where that cannot be told.
    public static func unescaped(_ key: String) -> String? {
        guard !key.hasPrefix("sha256~") else { return nil }
        var bytes: [UInt8] = []
        var rest = Array(key.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @inline(__always)
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x30...0x39, 0x41...0x5A, 0x2D, 0x5F, 0x2E, 0x7E, 0x40: true
        default: false
        }
    }
}

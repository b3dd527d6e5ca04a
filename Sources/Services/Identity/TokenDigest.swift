import Bytes
import Digests

/// The SHA-256 of a token as four words, which are compared in the same time whatever they hold.
struct TokenDigest: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    /// Of the token itself.
    init(of token: ByteView) {
        withUnsafeMutableBytes(of: &words) {
            SHA256.hash(token, into: $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// Of 64 hexadecimal digits; nil for anything else.
    init?(hex: String) {
        guard let bytes = Hex.decode(hex), bytes.count == SHA256.byteCount else { return nil }
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    /// All ones when both are the same, else 0: no branch depends on them.
    func mask(equals other: TokenDigest) -> Int {
        let difference =
            (words.0 ^ other.words.0) | (words.1 ^ other.words.1) | (words.2 ^ other.words.2)
            | (words.3 ^ other.words.3)
        // The highest bit of x | −x is set unless x is 0.
        return Int(bitPattern: UInt((difference | (0 &- difference)) >> 63)) &- 1
    }
}

/// Hexadecimal text.
public enum Hex {
    /// The bytes of an even number of hexadecimal digits; nil for anything else.
    public static func decode(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { digit -> UInt8? in
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x61 + 10
            case 0x41...0x46: digit - 0x41 + 10
            default: nil
            }
        }
        guard digits.count % 2 == 0, !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0]! << 4 | digits[$0 + 1]! }
    }
}

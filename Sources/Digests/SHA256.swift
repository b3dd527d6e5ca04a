import Bytes
import CSodium

/// SHA-256 (FIPS 180-4): of bytes at once, or of a message that comes in pieces.
public struct SHA256 {
    /// The length of a digest.
    public static let byteCount = 32

    private var state = crypto_hash_sha256_state()

    public init() { crypto_hash_sha256_init(&state) }

    /// Takes the next piece of the message.
    public mutating func update(_ piece: ByteView) {
        crypto_hash_sha256_update(&state, piece.base, UInt64(piece.count))
    }

    /// The digest of all pieces; the value is of no further use.
    public consuming func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { digest, count in
            crypto_hash_sha256_final(&state, digest.baseAddress!)
            count = SHA256.byteCount
        }
    }

    /// The digest of `message`, 32 bytes.
    public static func hash(_ message: ByteView) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: byteCount) { digest, count in
            hash(message, into: digest.baseAddress!)
            count = byteCount
        }
    }

    /// Writes the digest of `message` at `digest`, which has room for 32 bytes.
    public static func hash(_ message: ByteView, into digest: UnsafeMutablePointer<UInt8>) {
        crypto_hash_sha256(digest, message.base, UInt64(message.count))
    }
}

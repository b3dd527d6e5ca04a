import Bytes
import CSodium

/// HMAC with SHA-256 (RFC 2104, RFC 4231), with a key of any length.
public enum HMACSHA256 {
    /// The code of `message` under `key`, 32 bytes.
    public static func code(of message: ByteView, key: ByteView) -> [UInt8] {
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key.base, key.count)
        crypto_auth_hmacsha256_update(&state, message.base, UInt64(message.count))
        return [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { code, count in
            crypto_auth_hmacsha256_final(&state, code.baseAddress!)
            count = SHA256.byteCount
        }
    }
}

/// Whether two secrets are the same, in a time that tells nothing of where they differ. Lengths are no secret.
public func constantTimeEquals(_ left: ByteView, _ right: ByteView) -> Bool {
    left.count == right.count && sodium_memcmp(left.base, right.base, left.count) == 0
}

import Bytes
import CSodium

/// SipHash-2-4 with 128 bits under a secret of its own: for tables in memory whose keys come from outside. Who does not
/// know the secret can neither predict a hash nor find two texts that share one, so the hash may stand for the text.
public struct KeyedHash: Sendable {
    public struct Value: Sendable, Hashable {
        public let high: UInt64
        public let low: UInt64

        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    private let secret: Value

    public init() { secret = Value(high: RandomBytes.number(), low: RandomBytes.number()) }

    public func hash(_ text: ByteView) -> Value {
        var out: (UInt64, UInt64) = (0, 0)
        withUnsafeBytes(of: secret) { secret in
            withUnsafeMutableBytes(of: &out) { out in
                let key = secret.baseAddress!.assumingMemoryBound(to: UInt8.self)
                let target = out.baseAddress!.assumingMemoryBound(to: UInt8.self)
                // It always succeeds.
                _ = crypto_shorthash_siphashx24(target, text.base, UInt64(text.count), key)
            }
        }
        return Value(high: out.0, low: out.1)
    }
}

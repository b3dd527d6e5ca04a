import CSodium

/// A cryptographic random generator with fast key erasure (D. J. Bernstein, 2017, https://blog.cr.yp.to/20170723-random.html).
///
/// Each refill is a ChaCha20 keystream whose first 32 bytes replace the key, and bytes that were given out are wiped:
/// who reads the memory later learns nothing of what was given before.
///
/// A class because its accesses are then too short for the runtime to check, which would cost more than the bytes.
final class KeystreamGenerator {
    private static let keyBytes = Int(crypto_stream_chacha20_KEYBYTES)
    static let streamBytes = 1024

    private let stream = UnsafeMutablePointer<UInt8>.allocate(capacity: streamBytes)
    private let key = UnsafeMutablePointer<UInt8>.allocate(capacity: keyBytes)
    private var taken = streamBytes

    /// - Parameter seed: writes the first key, 32 bytes, at the address it is given.
    init(seed: (UnsafeMutableRawPointer, Int) -> Void) {
        seed(key, KeystreamGenerator.keyBytes)
    }

    deinit {
        sodium_memzero(key, KeystreamGenerator.keyBytes)
        sodium_memzero(stream, KeystreamGenerator.streamBytes)
        key.deallocate()
        stream.deallocate()
    }

    func fill(_ target: UnsafeMutableRawBufferPointer) {
        var done = 0
        while done < target.count {
            if taken == KeystreamGenerator.streamBytes { refill() }
            let n = min(target.count - done, KeystreamGenerator.streamBytes - taken)
            (target.baseAddress! + done).copyMemory(from: stream + taken, byteCount: n)
            (stream + taken).update(repeating: 0, count: n)
            taken += n
            done += n
        }
    }

    private func refill() {
        // The nonce may stay zero: no key is used twice.
        var nonce: UInt64 = 0
        withUnsafeBytes(of: &nonce) { bytes in
            let nonceBytes = bytes.bindMemory(to: UInt8.self).baseAddress!
            _ = crypto_stream_chacha20(stream, UInt64(KeystreamGenerator.streamBytes), nonceBytes, key)
        }
        key.update(from: stream, count: KeystreamGenerator.keyBytes)
        stream.update(repeating: 0, count: KeystreamGenerator.keyBytes)
        taken = KeystreamGenerator.keyBytes
    }
}

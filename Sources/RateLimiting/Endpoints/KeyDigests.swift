import Bytes
import Digests

/// The hashed forms of the API keys seen last, so that a key that comes with every request is not hashed with every
/// request: SHA-256 was a sixth of what forward auth costs. The keys themselves are not kept: a keyed hash with a secret
/// of the process stands for each.
struct KeyDigests {
    private typealias Words = (UInt64, UInt64)

    private struct Entry {
        var key = KeyedHash.Value(high: 0, low: 0)
        /// Zero for a free place, which no digest is.
        var digest: Words = (0, 0)
    }

    private let mask: Int
    private let keyed = KeyedHash()
    /// Made with the first key. A key is in one of four neighbours, most often in the first that is looked at: memory is
    /// what looking costs.
    private var entries: [Entry] = []
    /// Which of four full neighbours gives way next.
    private var turn = 0

    /// - Parameter capacity: keys held at most, a power of two from 4.
    init(capacity: Int = 16_384) { mask = capacity - 1 }

    /// Appends the first 16 bytes of the SHA-256 of `apiKey`, as 32 hexadecimal digits.
    mutating func appendHex(_ apiKey: ByteView, to buffer: ByteBuffer) {
        if entries.isEmpty { entries = Array(repeating: Entry(), count: mask + 1) }
        let key = keyed.hash(apiKey)
        let first = Int(truncatingIfNeeded: key.low) & mask
        for step in 0..<4 {
            let digest = entries[first ^ step].digest
            if digest == (0, 0) { return remember(key, apiKey, first ^ step, buffer) }
            if entries[first ^ step].key == key { return KeyDigests.append(digest, to: buffer) }
        }
        turn = (turn + 1) & 3
        remember(key, apiKey, first ^ turn, buffer)
    }

    private mutating func remember(_ key: KeyedHash.Value, _ apiKey: ByteView, _ at: Int, _ buffer: ByteBuffer) {
        let digest = KeyDigests.digest(apiKey)
        entries[at] = Entry(key: key, digest: digest)
        KeyDigests.append(digest, to: buffer)
    }

    private static func digest(_ apiKey: ByteView) -> Words {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: SHA256.byteCount) { digest in
            SHA256.hash(apiKey, into: digest.baseAddress!)
            let bytes = UnsafeRawPointer(digest.baseAddress!)
            return (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }

    private static func append(_ digest: Words, to buffer: ByteBuffer) {
        withUnsafeBytes(of: digest) { buffer.append(hex: ByteView($0.assumingMemoryBound(to: UInt8.self))) }
    }
}

import Bytes
import Digests

/// The hashed forms of the API keys seen last, so that a key that comes with every request is not hashed with every
/// request: SHA-256 was a sixth of what forward auth costs. The keys themselves are not kept: a keyed hash with a secret
/// of the process stands for each.
struct KeyDigests {
    private typealias Words = (UInt64, UInt64)

    private struct Entry {
        var key = KeyedHash.Value(high: 0, low: 0)
        var digest: Words = (0, 0)
        var isUsed = false
    }

    private static let ways = 4
    private let setCount: Int
    private let keyed = KeyedHash()
    /// Made with the first key.
    private var entries: [Entry] = []
    /// Which way of a full set gives way next.
    private var turn = 0

    /// - Parameter capacity: keys held at most, a power of two.
    init(capacity: Int = 16_384) { setCount = capacity / KeyDigests.ways }

    /// Appends the first 16 bytes of the SHA-256 of `apiKey`, as 32 hexadecimal digits.
    mutating func appendHex(_ apiKey: ByteView, to buffer: ByteBuffer) {
        if entries.isEmpty { entries = Array(repeating: Entry(), count: setCount * KeyDigests.ways) }
        let key = keyed.hash(apiKey)
        let start = Int(truncatingIfNeeded: key.low) & (setCount - 1) * KeyDigests.ways
        var free = -1
        for i in start..<start + KeyDigests.ways {
            if entries[i].key == key, entries[i].isUsed { return KeyDigests.append(entries[i].digest, to: buffer) }
            if free < 0, !entries[i].isUsed { free = i }
        }
        if free < 0 {
            turn = (turn + 1) % KeyDigests.ways
            free = start + turn
        }
        entries[free] = Entry(key: key, digest: KeyDigests.digest(apiKey), isUsed: true)
        KeyDigests.append(entries[free].digest, to: buffer)
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

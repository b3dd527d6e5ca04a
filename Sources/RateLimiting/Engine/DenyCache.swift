import Bytes
import Digests

/// Refusals that are still true: a key that was refused is answered from here until it could be allowed again.
///
/// Only refusals of cost 1 that left nothing are kept, so that what is answered from here is exactly what Redis would
/// say: until then nothing comes back and nobody else can take anything. A fixed number of entries, four ways by hash.
struct DenyCache {
    struct Entry {
        fileprivate var key = KeyHash(a: 0, b: 0)
        /// Serve no longer than this (monotonic µs): the call's sending plus its wait, so never too long.
        var untilUs: Int64 = 0
        /// When the key is allowed again, as told to clients: the answer's arrival plus its wait, so never too early.
        var retryAtUs: Int64 = 0
        var resetAtUs: Int64 = 0
        /// Redis's clock minus ours when the answer came.
        var clockOffsetUs: Int64 = 0
    }

    private static let ways = 4
    private let setCount: Int
    private var entries: [Entry] = []

    /// - Parameter capacity: entries held at most, a power of two.
    init(capacity: Int = 65_536) { setCount = capacity / DenyCache.ways }

    func find(_ key: KeyHash, nowUs: Int64) -> Entry? {
        guard !entries.isEmpty else { return nil }
        let start = place(key)
        for i in start..<start + DenyCache.ways where entries[i].key == key && entries[i].untilUs > nowUs {
            return entries[i]
        }
        return nil
    }

    /// Remembers a refusal in place of the entry of its set that ends first.
    mutating func insert(_ key: KeyHash, untilUs: Int64, retryAtUs: Int64, resetAtUs: Int64, clockOffsetUs: Int64) {
        if entries.isEmpty { entries = Array(repeating: Entry(), count: setCount * DenyCache.ways) }
        let start = place(key)
        var target = start
        for i in start..<start + DenyCache.ways {
            if entries[i].key == key {
                target = i
                break
            }
            if entries[i].untilUs < entries[target].untilUs { target = i }
        }
        entries[target] = Entry(
            key: key, untilUs: untilUs, retryAtUs: retryAtUs, resetAtUs: resetAtUs, clockOffsetUs: clockOffsetUs)
    }

    mutating func drop(_ key: KeyHash) {
        guard !entries.isEmpty else { return }
        let start = place(key)
        for i in start..<start + DenyCache.ways where entries[i].key == key { entries[i].untilUs = 0 }
    }

    mutating func dropAll() { entries = [] }

    private func place(_ key: KeyHash) -> Int {
        Int(truncatingIfNeeded: key.b) & (setCount - 1) * DenyCache.ways
    }
}

/// 128 bits that stand for a key inside this process. A secret keys them: refusals are told by them, and clients choose
/// much of a key, so nobody must be able to find two keys that share them.
struct KeyHash: Equatable {
    let a: UInt64
    let b: UInt64

    private static let keyed = KeyedHash()

    init(a: UInt64, b: UInt64) {
        self.a = a
        self.b = b
    }

    init(_ key: ByteView) {
        let value = KeyHash.keyed.hash(key)
        (a, b) = (value.high, value.low)
    }
}

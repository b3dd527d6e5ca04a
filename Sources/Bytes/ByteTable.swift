/// A dictionary from bytes to values that is asked with a view, so that a look-up copies nothing.
///
/// Open addressing over a power of two, linear probing; grows at three quarters. Insert-only.
public struct ByteTable<Value> {
    @usableFromInline struct Entry {
        @usableFromInline let hash: UInt64
        @usableFromInline let key: [UInt8]
        @usableFromInline var value: Value

        @usableFromInline
        init(hash: UInt64, key: [UInt8], value: Value) {
            self.hash = hash
            self.key = key
            self.value = value
        }
    }

    @usableFromInline var entries: [Entry] = []
    @usableFromInline var slots: [Int32]
    @usableFromInline let seed: UInt64

    public init(seed: UInt64 = 0x51_7C_C1_B7_27_22_0A_95) {
        self.seed = seed
        slots = Array(repeating: -1, count: 8)
    }

    public var count: Int { entries.count }

    /// The values in order of insertion.
    public var values: some Sequence<Value> { entries.lazy.map(\.value) }

    @inlinable
    public subscript(key: ByteView) -> Value? {
        let hash = key.hash(seed: seed)
        let slot = find(key, hash)
        let index = slots[slot]
        return index < 0 ? nil : entries[Int(index)].value
    }

    /// Reads and changes the value of `key`, which is `fallback` if there is none yet.
    public subscript(key: [UInt8], default fallback: @autoclosure () -> Value) -> Value {
        get { key.withByteView { self[$0] } ?? fallback() }
        set {
            let hash = key.withByteView { $0.hash(seed: seed) }
            let slot = key.withByteView { find($0, hash) }
            if slots[slot] >= 0 {
                entries[Int(slots[slot])].value = newValue
                return
            }
            slots[slot] = Int32(entries.count)
            entries.append(Entry(hash: hash, key: key, value: newValue))
            if entries.count * 4 > slots.count * 3 { grow() }
        }
    }

    /// The slot that holds `key`, or the empty one where it would go.
    @inlinable
    func find(_ key: ByteView, _ hash: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if entries[index].hash == hash, entries[index].key.withByteView({ $0 == key }) { return slot }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        let mask = slots.count - 1
        for (index, entry) in entries.enumerated() {
            var slot = Int(truncatingIfNeeded: entry.hash) & mask
            while slots[slot] >= 0 { slot = (slot + 1) & mask }
            slots[slot] = Int32(index)
        }
    }
}

extension ByteTable: Sendable where Value: Sendable {}
extension ByteTable.Entry: Sendable where Value: Sendable {}

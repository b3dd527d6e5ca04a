import Bytes

/// Which keys of one object have been read: enough to tell that one most likely was not.
public struct JSONKeys {
    /// Where the object's members begin.
    let firstMember: Int
    /// A bit per residue of the keys' hashes.
    private var hashes: UInt64 = 0
    /// Whether a key had escapes, which can spell any other key.
    private var hasEscapes = false

    init(firstMember: Int) { self.firstMember = firstMember }

    /// Notes a key; false when it surely was not there before.
    mutating func mayHave(_ key: JSONText) -> Bool {
        if key.hasEscapes || hasEscapes {
            hasEscapes = true
            return true
        }
        let bit: UInt64 = 1 << (JSONKeys.hash(key.raw) & 63)
        defer { hashes |= bit }
        return hashes & bit != 0
    }

    /// Cheap, and different for the keys of what is asked most often.
    private static func hash(_ key: ByteView) -> UInt64 {
        guard key.count > 0 else { return 0 }
        let first = UInt64(key.base[0])
        let last = UInt64(key.base[key.count &- 1])
        return first &+ 2 &* (last &+ UInt64(truncatingIfNeeded: key.count))
    }
}

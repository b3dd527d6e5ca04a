/// The character classes of RFC 9110 and RFC 3986 as bit sets of the 128 ASCII codes: no memory to look into.
enum Characters {
    /// What method and field names are made of (RFC 9110, section 5.6.2).
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        contains(0x03FF_6CFA_0000_0000, 0x57FF_FFFF_C7FF_FFFE, byte)
    }

    /// What a host and port are made of (RFC 3986, section 3.2.2; no user information).
    @inline(__always)
    static func isHost(_ byte: UInt8) -> Bool {
        contains(0x2FFF_7FF2_0000_0000, 0x47FF_FFFE_AFFF_FFFE, byte)
    }

    /// Visible ASCII without `#`, which cannot occur in a request target.
    @inline(__always)
    static func isTarget(_ byte: UInt8) -> Bool {
        contains(0xFFFF_FFF6_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, byte)
    }

    /// What a field value is made of: all but control characters, the tab excepted (RFC 9110, section 5.5).
    @inline(__always)
    static func isValue(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7F) || byte == 0x09 }

    @inline(__always)
    private static func contains(_ low: UInt64, _ high: UInt64, _ byte: UInt8) -> Bool {
        let bit = UInt64(byte & 63)
        return byte < 64 ? (low &>> bit) & 1 != 0 : byte < 128 && (high &>> bit) & 1 != 0
    }

    /// Whether all of `base[start..<end]` can stand in a field value.
    static func areValue(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let raw = UnsafeRawPointer(base)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let high: UInt64 = 0x8080_8080_8080_8080
        var at = start
        while at &+ 8 <= end {
            let word = raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            // A set bit may be false, never a missing one: then the bytes are looked at one by one.
            let controls = (word &- ones &* 0x20) & ~word & high
            let deletes = ((word ^ (ones &* 0x7F)) &- ones) & ~(word ^ (ones &* 0x7F)) & high
            if controls | deletes != 0 {
                for i in at..<at &+ 8 where !isValue(base[i]) { return false }
            }
            at &+= 8
        }
        while at < end {
            if !isValue(base[at]) { return false }
            at &+= 1
        }
        return true
    }
}

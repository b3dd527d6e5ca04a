import Bytes

/// UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
enum UTF8Sequences {
    /// The length, 2 to 4, of the sequence whose first byte is at `at` and not ASCII; 0 when it is none.
    static func length(_ base: UnsafePointer<UInt8>, _ at: Int, _ count: Int) -> Int {
        let first = base[at]
        let length: Int
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if first == 0xE0 { low = 0xA0 }
            if first == 0xED { high = 0x9F }
        case 0xF0...0xF4:
            length = 4
            if first == 0xF0 { low = 0x90 }
            if first == 0xF4 { high = 0x8F }
        default: return 0
        }
        guard at + length <= count, base[at + 1] >= low, base[at + 1] <= high else { return 0 }
        for i in 2..<max(length, 2) where base[at + i] & 0xC0 != 0x80 { return 0 }
        return length
    }

    /// Writes `scalar`, which is no surrogate, and returns how many bytes it took.
    static func write(_ scalar: UInt32, to target: UnsafeMutablePointer<UInt8>) -> Int {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift & 0x3F)) }
        switch scalar {
        case 0..<0x80:
            target[0] = UInt8(truncatingIfNeeded: scalar)
            return 1
        case 0..<0x800:
            target[0] = UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6)
            target[1] = tail(0)
            return 2
        case 0..<0x10000:
            target[0] = UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12)
            target[1] = tail(6)
            target[2] = tail(0)
            return 3
        default:
            target[0] = UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18)
            target[1] = tail(12)
            target[2] = tail(6)
            target[3] = tail(0)
            return 4
        }
    }
}

/// Eight bytes looked at as one word.
@usableFromInline
enum EightBytes {
    /// Zero when all eight can stand in a JSON string as they are: ASCII, no control character, no quote, no
    /// backslash. Otherwise the lowest set bit lies in the first byte that needs a look (bits above it may be false).
    @inlinable
    @inline(__always)
    static func special(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let controls = word &- ones &* 0x20
        let quotes = (word ^ (ones &* 0x22)) &- ones
        let backslashes = (word ^ (ones &* 0x5C)) &- ones
        return (word | controls | quotes | backslashes) & (ones &* 0x80)
    }
}

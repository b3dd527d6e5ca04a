import Bytes

/// A cluster's slots: every key is in one, by what stands between its first `{` and the next `}`, or by all of it.
///
/// Source: Redis cluster specification, "Hash tags" and "Key distribution model" (CRC-16/XMODEM).
public enum RedisSlot {
    public static let count = 16_384

    public static func of(_ key: String) -> Int { key.withByteView { of($0) } }

    public static func of(_ key: ByteView) -> Int {
        var (from, to) = (0, key.count)
        if let open = index(of: UInt8(ascii: "{"), in: key, from: 0),
            let close = index(of: UInt8(ascii: "}"), in: key, from: open + 1), close > open + 1
        {
            (from, to) = (open + 1, close)
        }
        var crc: UInt16 = 0
        for i in from..<to { crc = crc << 8 ^ table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ key[i])] }
        return Int(crc) & (count - 1)
    }

    private static func index(of byte: UInt8, in key: ByteView, from: Int) -> Int? {
        var i = from
        while i < key.count {
            if key[i] == byte { return i }
            i += 1
        }
        return nil
    }

    private static let table: [UInt16] = (0..<256).map { byte in
        var crc = UInt16(byte) << 8
        for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        return crc
    }
}

import Bytes

extension JSONReader {
    /// An integer within ±(2^53−1), the range in which every JSON implementation agrees (RFC 8259, section 6).
    /// `1.0` and `1e3` are refused as `.notInteger`; `-0` is 0.
    public mutating func readInt() throws(JSONError) -> Int {
        skipSpace()
        let start = offset
        var at = offset
        guard at < count else { throw wrongKind(.number) }
        let isNegative = base[at] == 0x2D
        if isNegative { at &+= 1 }
        let firstDigit = at
        var value = 0
        // Sixteen digits hold 2^53 and cannot overflow; more are out of range unless they are no integer at all.
        while at < count, base[at].isDigit {
            if at &- firstDigit < 17 { value = value &* 10 &+ Int(base[at] &- 0x30) }
            at &+= 1
        }
        let length = at - firstDigit
        if length == 0 || (length > 1 && base[firstDigit] == 0x30) || !endsNumber(at) {
            // Not the plain form: the whole grammar decides between a fraction and a mistake.
            try skipNumber()
            throw JSONError(.notInteger, at: start)
        }
        guard length <= 16, value <= JSONReader.maxInteger else { throw JSONError(.outOfRange, at: start) }
        offset = at
        return isNegative ? -value : value
    }

    /// Any number; one beyond the range of a double is refused.
    public mutating func readDouble() throws(JSONError) -> Double {
        skipSpace()
        let start = offset
        try skipNumber()
        let text = ByteView(base: base + start, count: offset - start).string
        guard let value = Double(text), value.isFinite else { throw JSONError(.outOfRange, at: start) }
        return value
    }

    /// 2^53 − 1.
    public static var maxInteger: Int { 9_007_199_254_740_991 }

    /// Steps over a number of RFC 8259: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    mutating func skipNumber() throws(JSONError) {
        skipSpace()
        guard offset < count, base[offset] == 0x2D || base[offset].isDigit else { throw wrongKind(.number) }
        if base[offset] == 0x2D { offset += 1 }
        let firstDigit = offset
        try digits()
        if offset - firstDigit > 1, base[firstDigit] == 0x30 {
            offset = firstDigit
            throw malformed("a number has no leading zeros")
        }
        if offset < count, base[offset] == 0x2E {
            offset += 1
            try digits()
        }
        if offset < count, base[offset] | 0x20 == 0x65 {
            offset += 1
            if offset < count, base[offset] == 0x2B || base[offset] == 0x2D { offset += 1 }
            try digits()
        }
        guard endsNumber(offset) else { throw malformed("this does not belong in a number") }
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while offset < count, base[offset].isDigit { offset += 1 }
        if offset == start { throw malformed("a digit belongs here") }
    }

    private func endsNumber(_ at: Int) -> Bool {
        guard at < count else { return true }
        let byte = base[at]
        return byte == 0x2C || byte == 0x7D || byte == 0x5D || JSONReader.isSpace(byte)
    }
}

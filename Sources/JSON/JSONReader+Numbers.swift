import Bytes

extension JSONReader {
    /// An integer within ±(2^53−1), the range in which every JSON implementation agrees (RFC 8259, section 6). How it is
    /// written does not matter: `1.0` is 1 and `1e3` is 1000; a number that has a fraction is refused as `.notInteger`.
    public mutating func readInt() throws(JSONError) -> Int {
        if let value = try readPlainInt() { return value }
        return try readWrittenOutInt()
    }

    /// An integer that is written as digits alone; nil, with nothing read, when the number has another form.
    mutating func readPlainInt() throws(JSONError) -> Int? {
        skipSpace()
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
        if length == 0 || (length > 1 && base[firstDigit] == 0x30) || !endsNumber(at) { return nil }
        guard length <= 16, value <= JSONReader.maxInteger else { throw JSONError(.outOfRange, at: offset) }
        offset = at
        return isNegative ? -value : value
    }

    /// An integer with a point or an exponent.
    mutating func readWrittenOutInt() throws(JSONError) -> Int {
        let start = offset
        try skipNumber()
        let isNegative = base[start] == 0x2D
        // The digits from the first to the last that is no zero, the zeros behind them, and the power of ten of the last.
        var value = 0
        var length = 0
        var zeros = 0
        var power = 0
        var isFraction = false
        var at = isNegative ? start + 1 : start
        while at < offset, base[at] | 0x20 != 0x65 {
            let byte = base[at]
            at += 1
            if byte == 0x2E {
                isFraction = true
                continue
            }
            if isFraction { power -= 1 }
            if byte == 0x30 {
                if length > 0 { zeros += 1 }
                continue
            }
            length += zeros + 1
            if length <= 16 {
                for _ in 0..<zeros { value *= 10 }
                value = value * 10 + Int(byte - 0x30)
            }
            zeros = 0
        }
        if length == 0 { return 0 }
        power += zeros + writtenExponent(at)
        guard power >= 0 else { throw JSONError(.notInteger, at: start) }
        guard length + power <= 16 else { throw JSONError(.outOfRange, at: start) }
        for _ in 0..<power { value *= 10 }
        guard value <= JSONReader.maxInteger else { throw JSONError(.outOfRange, at: start) }
        return isNegative ? -value : value
    }

    /// The exponent that stands from the `e` at `start` to `offset`; 0 when there is none.
    private func writtenExponent(_ start: Int) -> Int {
        guard start < offset else { return 0 }
        var at = start + 1
        let isNegative = base[at] == 0x2D
        if isNegative || base[at] == 0x2B { at += 1 }
        var value = 0
        while at < offset {
            // No text is so long that a larger one would make a difference.
            value = min(value * 10 + Int(base[at] - 0x30), 1 << 40)
            at += 1
        }
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

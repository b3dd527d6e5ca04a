import Bytes

extension JSONReader {
    /// Reads the string whose opening quote is at `offset`. The whole of it is checked here, so that whoever unescapes
    /// it later need not be.
    mutating func scanString() throws(JSONError) -> JSONText {
        let start = offset &+ 1
        let raw = UnsafeRawPointer(base)
        var at = start
        var hasEscapes = false
        while true {
            while at &+ 8 <= count {
                let special = EightBytes.special(raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                if special != 0 {
                    at &+= special.trailingZeroBitCount / 8
                    break
                }
                at &+= 8
            }
            guard at < count else {
                offset = at
                throw malformed("the text ends inside a string")
            }
            switch base[at] {
            case 0x22:
                offset = at &+ 1
                return JSONText(raw: ByteView(base: base + start, count: at &- start), hasEscapes: hasEscapes)
            case 0x5C:
                hasEscapes = true
                at = try afterEscape(at)
            case 0x00..<0x20:
                offset = at
                throw malformed("a control character must be escaped in a string")
            case 0x20..<0x80:
                at &+= 1
            default:
                let length = UTF8Sequences.length(base, at, count)
                guard length > 0 else {
                    offset = at
                    throw malformed("this is not UTF-8")
                }
                at &+= length
            }
        }
    }

    /// Where the escape that begins at `at` ends; a surrogate must come as a pair.
    private mutating func afterEscape(_ at: Int) throws(JSONError) -> Int {
        offset = at
        guard at + 1 < count else { throw malformed("the text ends inside a string") }
        switch base[at + 1] {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: return at + 2
        case 0x75:
            guard let unit = Hex.four(base, at + 2, count) else { throw malformed("four hex digits belong after \\u") }
            switch unit {
            case 0xD800...0xDBFF:
                guard at + 7 < count, base[at + 6] == 0x5C, base[at + 7] == 0x75,
                    let low = Hex.four(base, at + 8, count), (0xDC00...0xDFFF).contains(low)
                else { throw malformed("half of a surrogate pair") }
                return at + 12
            case 0xDC00...0xDFFF: throw malformed("half of a surrogate pair")
            default: return at + 6
            }
        default: throw malformed("there is no such escape")
        }
    }
}

enum Hex {
    /// The value of four hexadecimal digits at `at`.
    static func four(_ base: UnsafePointer<UInt8>, _ at: Int, _ count: Int) -> UInt32? {
        guard at + 4 <= count else { return nil }
        var value: UInt32 = 0
        for i in 0..<4 {
            let byte = base[at + i]
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x41 + 10
            case 0x61...0x66: digit = byte - 0x61 + 10
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

import Bytes

/// A strict pull parser of RFC 8259 over bytes that somebody else keeps: the caller asks for what it expects and is
/// told by a `JSONError` where the text differs. It allocates nothing.
///
///     var reader = JSONReader(body)
///     var keys = try reader.beginObject()
///     while let key = try reader.nextKey(&keys) {
///         if key == "limit" { limit = try reader.readInt() } else { try reader.skip() }
///     }
///     try reader.end()
///
/// Each key must be followed by exactly one value call, each true `nextElement` too. A key that occurs twice in one object
/// is refused. The views in answers hold as long as the bytes do.
public struct JSONReader {
    let base: UnsafePointer<UInt8>
    let count: Int
    let maxDepth: Int
    /// Where reading goes on; after an error, where that was.
    public internal(set) var offset = 0
    var depth = 0
    /// Bit d is set while the container at depth d has had no member yet.
    private var freshContainers: UInt64 = 0

    /// - Parameter maxDepth: how many containers may be open at once, 1 to 63.
    public init(_ bytes: ByteView, maxDepth: Int = 32) {
        precondition(maxDepth >= 1 && maxDepth <= 63)
        base = bytes.base
        count = bytes.count
        self.maxDepth = maxDepth
    }

    // MARK: Structure

    /// Begins an object.
    /// - Returns: what `nextKey` is to be given for this object's keys.
    @discardableResult
    public mutating func beginObject() throws(JSONError) -> JSONKeys {
        try open(0x7B, .object)
        return JSONKeys(firstMember: offset)
    }

    public mutating func beginArray() throws(JSONError) { try open(0x5B, .array) }

    /// The next key, its value being what is read next; nil at the end of the object. For objects whose keys are known:
    /// telling whether a key has occurred before may take as long as the object is.
    public mutating func nextKey(_ keys: inout JSONKeys) throws(JSONError) -> JSONText? {
        guard let key = try nextKeyUnchecked() else { return nil }
        if keys.mayHave(key), try isRepeated(key, keys) { throw JSONError.repeated(key.string, at: offset) }
        return key
    }

    /// The same without a look for repeated keys: for whoever finds them by other means, or only looks for something.
    public mutating func nextKeyUnchecked() throws(JSONError) -> JSONText? {
        guard try nextMember(closing: 0x7D) else { return nil }
        guard offset < count, base[offset] == 0x22 else { throw malformed("a key in double quotes belongs here") }
        let key = try scanString()
        skipSpace()
        guard offset < count, base[offset] == 0x3A else { throw malformed("a colon belongs here") }
        offset += 1
        return key
    }

    /// Looks for a key among those of the same object that stand before it.
    private func isRepeated(_ key: JSONText, _ keys: JSONKeys) throws(JSONError) -> Bool {
        var reader = self
        reader.offset = keys.firstMember
        reader.freshContainers |= 1 << UInt64(depth)
        while let other = try reader.nextKeyUnchecked(), other.raw.base < key.raw.base {
            if other == key { return true }
            try reader.skip()
        }
        return false
    }

    /// Whether the array has another element, which is what is read next.
    public mutating func nextElement() throws(JSONError) -> Bool { try nextMember(closing: 0x5D) }

    /// Refuses anything but white space after what has been read.
    public mutating func end() throws(JSONError) {
        assert(depth == 0)
        skipSpace()
        guard offset == count else { throw malformed("nothing belongs after the value") }
    }

    /// The kind of the value that comes next.
    public var peekKind: JSONKind {
        get throws(JSONError) {
            var at = offset
            while at < count, JSONReader.isSpace(base[at]) { at += 1 }
            guard at < count else { throw JSONError(.malformed, at: at, "the text ends where a value belongs") }
            switch base[at] {
            case 0x7B: return .object
            case 0x5B: return .array
            case 0x22: return .string
            case 0x2D, 0x30...0x39: return .number
            case 0x74, 0x66: return .bool
            case 0x6E: return .null
            default: throw JSONError(.malformed, at: at, "a value belongs here")
            }
        }
    }

    // MARK: Values

    public mutating func readString() throws(JSONError) -> JSONText {
        skipSpace()
        guard offset < count, base[offset] == 0x22 else { throw wrongKind(.string) }
        return try scanString()
    }

    public mutating func readBool() throws(JSONError) -> Bool {
        skipSpace()
        guard offset < count, base[offset] == 0x74 || base[offset] == 0x66 else { throw wrongKind(.bool) }
        if base[offset] == 0x74 {
            try word("true")
            return true
        }
        try word("false")
        return false
    }

    public mutating func readNull() throws(JSONError) {
        skipSpace()
        guard offset < count, base[offset] == 0x6E else { throw wrongKind(.null) }
        try word("null")
    }

    /// Passes over one value of any kind, which is checked like any other.
    public mutating func skip() throws(JSONError) {
        switch try peekKind {
        case .object:
            try beginObject()
            while try nextKeyUnchecked() != nil { try skip() }
        case .array:
            try beginArray()
            while try nextElement() { try skip() }
        case .string: _ = try readString()
        case .number: try skipNumber()
        case .bool: _ = try readBool()
        case .null: try readNull()
        }
    }

    // MARK: Inside

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    @inline(__always)
    mutating func skipSpace() {
        while offset < count, JSONReader.isSpace(base[offset]) { offset &+= 1 }
    }

    private mutating func open(_ bracket: UInt8, _ kind: JSONKind) throws(JSONError) {
        skipSpace()
        guard offset < count, base[offset] == bracket else { throw wrongKind(kind) }
        guard depth < maxDepth else { throw JSONError(.tooDeep, at: offset) }
        offset += 1
        depth += 1
        freshContainers |= 1 << UInt64(depth)
    }

    /// Steps over the comma or the closing bracket; false when it was the bracket.
    private mutating func nextMember(closing: UInt8) throws(JSONError) -> Bool {
        assert(depth > 0)
        skipSpace()
        guard offset < count else { throw malformed("the text ends inside a container") }
        let bit: UInt64 = 1 << UInt64(depth)
        if base[offset] == closing {
            offset += 1
            depth -= 1
            freshContainers &= ~bit
            return false
        }
        if freshContainers & bit != 0 {
            freshContainers &= ~bit
            return true
        }
        guard base[offset] == 0x2C else { throw malformed("a comma or a closing bracket belongs here") }
        offset += 1
        skipSpace()
        guard offset < count, base[offset] != closing else { throw malformed("a comma must be followed by a member") }
        return true
    }

    private mutating func word(_ text: StaticString) throws(JSONError) {
        let length = text.utf8CodeUnitCount
        guard offset + length <= count, ByteView(base: base + offset, count: length) == text else {
            throw malformed("a value belongs here")
        }
        offset += length
    }

    func malformed(_ detail: String) -> JSONError { JSONError(.malformed, at: offset, detail) }

    func wrongKind(_ expected: JSONKind) -> JSONError {
        do {
            return JSONError(.wrongKind(expected: expected, found: try peekKind), at: offset)
        } catch {
            return error
        }
    }
}

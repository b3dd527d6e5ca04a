import Glibc

/// Bytes that somebody else owns: a slice of a connection's buffer, of a Redis reply, of a string's storage.
///
/// A view is a pointer and a length and keeps nothing alive. Whoever hands one out says how long it holds; to keep
/// the bytes longer, copy them (`array`, `string`).
@frozen
public struct ByteView {
    public let base: UnsafePointer<UInt8>
    public let count: Int

    @inlinable
    public init(base: UnsafePointer<UInt8>, count: Int) {
        self.base = base
        self.count = count
    }

    /// A view of literal text, which lives as long as the process.
    @inlinable
    public init(_ text: StaticString) {
        self.init(base: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// A view of a buffer; the empty buffer gives the empty view.
    @inlinable
    public init(_ buffer: UnsafeBufferPointer<UInt8>) {
        if let base = buffer.baseAddress {
            self.init(base: base, count: buffer.count)
        } else {
            self = ByteView.empty
        }
    }

    @inlinable public static var empty: ByteView { ByteView("") }

    @inlinable public var isEmpty: Bool { count == 0 }

    @inlinable
    public subscript(index: Int) -> UInt8 {
        assert(index >= 0 && index < count)
        return base[index]
    }

    /// The bytes from `start` up to, not including, `end`.
    @inlinable
    public func slice(_ start: Int, _ end: Int) -> ByteView {
        assert(start >= 0 && start <= end && end <= count)
        return ByteView(base: base + start, count: end - start)
    }

    @inlinable public func dropFirst(_ n: Int) -> ByteView { slice(min(n, count), count) }

    @inlinable public var buffer: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base, count: count) }

    /// A copy that outlives whatever the view looks into.
    @inlinable public var array: [UInt8] { [UInt8](buffer) }

    /// A copy as text; bytes that are not UTF-8 become replacement characters.
    @inlinable public var string: String { String(decoding: buffer, as: UTF8.self) }

    @inlinable
    public static func == (left: ByteView, right: ByteView) -> Bool {
        left.count == right.count && memcmp(left.base, right.base, left.count) == 0
    }

    @inlinable
    public static func == (left: ByteView, right: StaticString) -> Bool {
        left.count == right.utf8CodeUnitCount && memcmp(left.base, right.utf8Start, left.count) == 0
    }

    @inlinable
    public func hasPrefix(_ prefix: StaticString) -> Bool {
        count >= prefix.utf8CodeUnitCount && memcmp(base, prefix.utf8Start, prefix.utf8CodeUnitCount) == 0
    }

    @inlinable
    public func hasPrefix(_ prefix: ByteView) -> Bool {
        count >= prefix.count && memcmp(base, prefix.base, prefix.count) == 0
    }

    /// Compares without regard to the case of ASCII letters; `lowercased` must be in lower case already.
    @inlinable
    public func equalsIgnoringCase(_ lowercased: StaticString) -> Bool { equalsIgnoringCase(ByteView(lowercased)) }

    @inlinable
    public func equalsIgnoringCase(_ lowercased: ByteView) -> Bool {
        guard count == lowercased.count else { return false }
        let other = lowercased.base
        var i = 0
        while i &+ 8 <= count {
            let word = UnsafeRawPointer(base + i).loadUnaligned(as: UInt64.self)
            let wanted = UnsafeRawPointer(other + i).loadUnaligned(as: UInt64.self)
            if word != wanted, word.asciiLowercased != wanted { return false }
            i &+= 8
        }
        while i < count {
            if base[i].asciiLowercased != other[i] { return false }
            i &+= 1
        }
        return true
    }

    @inlinable
    public func firstIndex(of byte: UInt8, from start: Int = 0) -> Int? {
        guard start < count, let found = memchr(base + start, Int32(byte), count - start) else { return nil }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    @inlinable
    public func lastIndex(of byte: UInt8) -> Int? {
        var i = count
        while i > 0 {
            i -= 1
            if base[i] == byte { return i }
        }
        return nil
    }

    /// The view without spaces and tabs at either end.
    @inlinable
    public var trimmed: ByteView {
        var start = 0
        var end = count
        while start < end, base[start] == 0x20 || base[start] == 0x09 { start += 1 }
        while end > start, base[end - 1] == 0x20 || base[end - 1] == 0x09 { end -= 1 }
        return slice(start, end)
    }

    /// The value of decimal digits and nothing else; nil for an empty view, a sign, or more than 18 digits.
    @inlinable
    public var decimal: Int? {
        guard count > 0, count <= 18 else { return nil }
        var value = 0
        for i in 0..<count {
            let digit = Int(base[i]) &- 0x30
            guard digit >= 0, digit <= 9 else { return nil }
            value = value &* 10 &+ digit
        }
        return value
    }

    /// A 64-bit hash for tables that live in one process: fast, seeded by the caller, not for adversaries to see.
    @inlinable
    public func hash(seed: UInt64) -> UInt64 {
        var state = seed ^ (UInt64(truncatingIfNeeded: count) &* 0x9E37_79B9_7F4A_7C15)
        var offset = 0
        let raw = UnsafeRawPointer(base)
        while offset &+ 8 <= count {
            state = ByteView.mix(state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        return ByteView.mix(state ^ tail(from: offset))
    }

    /// The last bytes, fewer than eight, as one number.
    @inlinable
    func tail(from start: Int) -> UInt64 {
        var tail: UInt64 = 0
        var shift: UInt64 = 0
        var offset = start
        while offset < count {
            tail |= UInt64(base[offset]) &<< shift
            shift &+= 8
            offset &+= 1
        }
        return tail
    }

    @inlinable
    static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }
}

extension UInt64 {
    /// Eight bytes at once, each as `UInt8.asciiLowercased` has it.
    @inlinable
    var asciiLowercased: UInt64 {
        let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
        // Sums of seven bits set the eighth where a byte is at least `A`, or above `Z`; a byte beyond ASCII has it already.
        let fromA = (self & low) &+ 0x3F3F_3F3F_3F3F_3F3F
        let aboveZ = (self & low) &+ 0x2525_2525_2525_2525
        let capitals = fromA & ~aboveZ & ~self & ~low
        return self | capitals &>> 2
    }
}

extension UInt8 {
    @inlinable public var asciiLowercased: UInt8 { self >= 0x41 && self <= 0x5A ? self | 0x20 : self }
    @inlinable public var isDigit: Bool { self >= 0x30 && self <= 0x39 }
}

extension String {
    /// Calls `body` with a view of the string's UTF-8, which holds during the call only.
    @inlinable
    public func withByteView<Result>(_ body: (ByteView) throws -> Result) rethrows -> Result {
        var copy = self
        return try copy.withUTF8 { try body(ByteView($0)) }
    }
}

extension [UInt8] {
    /// Calls `body` with a view of the array, which holds during the call only.
    @inlinable
    public func withByteView<Result>(_ body: (ByteView) throws -> Result) rethrows -> Result {
        try withUnsafeBufferPointer { try body(ByteView($0)) }
    }
}

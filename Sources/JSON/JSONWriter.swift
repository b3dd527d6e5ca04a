import Bytes

/// Appends JSON to a buffer and sets the commas. It checks nothing else: whoever writes closes what they opened.
///
///     var json = JSONWriter(buffer)
///     json.beginObject()
///     json.field("allowed", true)
///     json.field("remaining", 9)
///     json.endObject()
///
/// Keys and `StaticString` values are written as they are, so they hold nothing that needs an escape. Text from
/// elsewhere is escaped, and bytes of it that are not UTF-8 become U+FFFD.
public struct JSONWriter {
    public let buffer: ByteBuffer
    @usableFromInline var needsComma = false

    @inlinable
    public init(_ buffer: ByteBuffer) { self.buffer = buffer }

    // MARK: Structure

    @inlinable public mutating func beginObject() { open(0x7B) }
    @inlinable public mutating func endObject() { close(0x7D) }
    @inlinable public mutating func beginArray() { open(0x5B) }
    @inlinable public mutating func endArray() { close(0x5D) }

    /// Opens the object that is the value of `name`.
    @inlinable
    public mutating func beginObject(_ name: StaticString) {
        key(name)
        beginObject()
    }

    /// Opens the array that is the value of `name`.
    @inlinable
    public mutating func beginArray(_ name: StaticString) {
        key(name)
        beginArray()
    }

    @inlinable
    public mutating func key(_ name: StaticString) {
        comma()
        buffer.append(0x22)
        buffer.append(name)
        buffer.append("\":")
        needsComma = false
    }

    /// A key that is not known beforehand; it is escaped.
    @inlinable
    public mutating func key(escaping name: String) {
        value(name)
        buffer.append(0x3A)
        needsComma = false
    }

    // MARK: Values

    @inlinable
    public mutating func value(_ value: Int) {
        comma()
        buffer.append(decimal: value)
    }

    @inlinable
    public mutating func value(_ value: Bool) {
        comma()
        buffer.append(value ? "true" : "false")
    }

    @inlinable
    @_disfavoredOverload
    public mutating func value(_ value: String) {
        value.withByteView { self.value($0) }
    }

    @inlinable
    public mutating func value(_ value: ByteView) {
        comma()
        buffer.append(0x22)
        buffer.appendJSON(string: value)
        buffer.append(0x22)
    }

    @inlinable
    public mutating func value(_ value: StaticString) {
        comma()
        buffer.append(0x22)
        buffer.append(value)
        buffer.append(0x22)
    }

    /// The shortest text that reads back as the same number; infinities and NaN, which JSON lacks, become null.
    public mutating func value(_ value: Double) {
        comma()
        if value.isFinite { buffer.append(value.description) } else { buffer.append("null") }
    }

    @inlinable
    public mutating func value(_ value: Timestamp) {
        comma()
        buffer.append(0x22)
        value.appendRFC3339(to: buffer)
        buffer.append(0x22)
    }

    /// `null`; the only value of its parameter's type is nil.
    @inlinable
    public mutating func value(_ value: Never?) {
        comma()
        buffer.append("null")
    }

    /// One value that is JSON already.
    @inlinable
    public mutating func raw(_ json: ByteView) {
        comma()
        buffer.append(json)
    }

    // MARK: Inside

    @inlinable
    @inline(__always)
    mutating func comma() {
        if needsComma { buffer.append(0x2C) }
        needsComma = true
    }

    @inlinable
    mutating func open(_ bracket: UInt8) {
        comma()
        buffer.append(bracket)
        needsComma = false
    }

    @inlinable
    mutating func close(_ bracket: UInt8) {
        buffer.append(bracket)
        needsComma = true
    }
}

/// A key and its value in one call.
extension JSONWriter {
    @inlinable
    public mutating func field(_ name: StaticString, _ value: Int) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: Bool) {
        key(name)
        self.value(value)
    }

    @inlinable
    @_disfavoredOverload
    public mutating func field(_ name: StaticString, _ value: String) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: ByteView) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: StaticString) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: Double) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: Timestamp) {
        key(name)
        self.value(value)
    }

    @inlinable
    public mutating func field(_ name: StaticString, _ value: Never?) {
        key(name)
        self.value(value)
    }
}

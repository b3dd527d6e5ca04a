import Bytes

/// A JSON value as a tree, for what is not on a hot path: configuration, rules, job payloads. Objects keep the order of
/// their members.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    public struct Member: Sendable, Equatable {
        public let key: String
        public let value: JSONValue

        public init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }

        public init(_ key: String, _ value: JSONValue) { self.init(key: key, value: value) }
    }

    /// Reads a whole text. A key that occurs twice in one object is refused as malformed.
    public init(parsing text: ByteView, maxDepth: Int = 32) throws(JSONError) {
        var reader = JSONReader(text, maxDepth: maxDepth)
        self = try JSONValue(reading: &reader)
        try reader.end()
    }

    /// Reads the value that comes next.
    public init(reading reader: inout JSONReader) throws(JSONError) {
        switch try reader.peekKind {
        case .null:
            try reader.readNull()
            self = .null
        case .bool: self = .bool(try reader.readBool())
        case .number: self = try JSONValue.number(&reader)
        case .string: self = .string(try reader.readString().string)
        case .array:
            var elements: [JSONValue] = []
            try reader.beginArray()
            while try reader.nextElement() {
                do { elements.append(try JSONValue(reading: &reader)) } catch {
                    throw error.inside("[\(elements.count)]")
                }
            }
            self = .array(elements)
        case .object: self = .object(try JSONValue.members(&reader))
        }
    }

    /// The member `key` of an object; nil when this is no object or has none.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    public var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int, .double: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    /// Appends the value as JSON.
    /// - Parameter pretty: one member a line, indented by two spaces.
    public func write(to buffer: ByteBuffer, pretty: Bool = false) {
        write(to: buffer, indent: pretty ? 0 : nil)
    }

    /// The value as JSON.
    public func text(pretty: Bool = false) -> String {
        let buffer = ByteBuffer()
        write(to: buffer, pretty: pretty)
        return buffer.view.string
    }

    // MARK: Inside

    /// What is an integer by its value is one here, however it is written; all else is a double.
    private static func number(_ reader: inout JSONReader) throws(JSONError) -> JSONValue {
        if let value = try reader.readPlainInt() { return .int(value) }
        let start = reader
        do { return .int(try reader.readWrittenOutInt()) } catch {
            guard error.kind == .notInteger || error.kind == .outOfRange else { throw error }
            reader = start
            return .double(try reader.readDouble())
        }
    }

    private static func members(_ reader: inout JSONReader) throws(JSONError) -> [Member] {
        var members: [Member] = []
        // As bytes: strings compare equal when Unicode calls them equivalent, keys of JSON do not.
        var seen: Set<[UInt8]> = []
        try reader.beginObject()
        while let key = try reader.nextKeyUnchecked() {
            let name = key.string
            guard seen.insert(Array(name.utf8)).inserted else { throw JSONError.repeated(name, at: reader.offset) }
            do { members.append(Member(key: name, value: try JSONValue(reading: &reader))) } catch {
                throw error.inside(name)
            }
        }
        return members
    }

    private func write(to buffer: ByteBuffer, indent: Int?) {
        var json = JSONWriter(buffer)
        switch self {
        case .null: json.value(nil)
        case .bool(let value): json.value(value)
        case .int(let value): json.value(value)
        case .double(let value): json.value(value)
        case .string(let value): json.value(value)
        case .array(let elements):
            JSONValue.writeList(elements, 0x5B, 0x5D, buffer, indent) { $0.write(to: buffer, indent: $1) }
        case .object(let members):
            JSONValue.writeList(members, 0x7B, 0x7D, buffer, indent) { member, inner in
                var json = JSONWriter(buffer)
                json.value(member.key)
                buffer.append(0x3A)
                if inner != nil { buffer.append(0x20) }
                member.value.write(to: buffer, indent: inner)
            }
        }
    }

    private static func writeList<Item>(
        _ items: [Item], _ opening: UInt8, _ closing: UInt8, _ buffer: ByteBuffer, _ indent: Int?,
        _ write: (Item, Int?) -> Void
    ) {
        buffer.append(opening)
        let inner = indent.map { $0 + 1 }
        for (i, item) in items.enumerated() {
            if i > 0 { buffer.append(0x2C) }
            newLine(buffer, inner)
            write(item, inner)
        }
        if !items.isEmpty { newLine(buffer, indent) }
        buffer.append(closing)
    }

    private static func newLine(_ buffer: ByteBuffer, _ indent: Int?) {
        guard let indent else { return }
        buffer.append(0x0A)
        for _ in 0..<indent { buffer.append("  ") }
    }
}

/// The kinds of JSON values.
public enum JSONKind: Sendable, Equatable {
    case object, array, string, number, bool, null

    /// With its article, for sentences.
    var phrase: StaticString {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .bool: "true or false"
        case .null: "null"
        }
    }
}

/// Why a text could not be read as what it should be, and where.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// Not JSON by RFC 8259.
        case malformed
        /// JSON, but another kind of value than was asked for.
        case wrongKind(expected: JSONKind, found: JSONKind)
        /// A number with a fraction where an integer belongs.
        case notInteger
        /// An integer beyond ±(2^53−1), or a number beyond what a double holds.
        case outOfRange
        /// A key that occurs twice in one object; `field` says which.
        case repeatedKey
        /// Nested deeper than the reader was told to follow.
        case tooDeep
    }

    public let kind: Kind
    /// The byte, counted from 0, at which it was seen.
    public let offset: Int
    /// The member at fault, with dots between levels in a tree (`rules[2].limit`); only a number out of range, and a key that
    /// occurs twice, have one.
    public private(set) var field: String?
    private let detail: String

    init(_ kind: Kind, at offset: Int, _ detail: String = "") {
        self.kind = kind
        self.offset = offset
        self.detail = detail
    }

    static func repeated(_ key: String, at offset: Int) -> JSONError {
        var error = JSONError(.repeatedKey, at: offset)
        error.field = key
        return error
    }

    /// The error as seen from the object or array around, when it is about a value and not about the text.
    func inside(_ step: String) -> JSONError {
        guard kind == .outOfRange || kind == .repeatedKey else { return self }
        var error = self
        error.field = step + (field.map { ($0.hasPrefix("[") ? "" : ".") + $0 } ?? "")
        return error
    }

    /// A sentence for the sender of the text.
    public var description: String {
        switch kind {
        case .malformed: "the JSON is malformed at byte \(offset): \(detail)"
        case .wrongKind(let expected, let found): "expected \(expected.phrase) at byte \(offset), found \(found.phrase)"
        case .notInteger: "expected an integer at byte \(offset), found a number with a fraction"
        case .outOfRange: "the number at byte \(offset)\(field.map { " (\($0))" } ?? "") is out of range"
        case .repeatedKey: "the key \"\(field ?? "")\" occurs twice, the second time before byte \(offset)"
        case .tooDeep: "the JSON is nested too deeply at byte \(offset)"
        }
    }
}

import JSON

/// The members of a JSON object, read by name into checked values; each refusal names its field.
///
/// `null` reads as absent. `finish` refuses every member that nobody asked for.
public struct Fields {
    private let prefix: String
    private var unread: [String: JSONValue] = [:]
    private let order: [String]
    /// Members that were asked for, to name the one that an unknown one may have meant.
    private var known: [String] = []

    /// - Parameter name: the name of the field that holds the object, nil for the body itself.
    public init(_ value: JSONValue, of name: String? = nil) throws(Problem) {
        guard case .object(let members) = value else {
            if let name { throw .field(name, "must be an object") }
            throw Problem(.invalidRequest, "the body must be a JSON object")
        }
        prefix = name.map { $0 + "." } ?? ""
        order = members.map(\.key)
        for member in members { unread[member.key] = member.value }
    }

    /// The full name of a member, for messages.
    public func name(_ member: String) -> String { prefix + member }

    /// Whether no member is left to read.
    public var isEmpty: Bool { unread.isEmpty }

    /// Any value, or nil when absent or null.
    public mutating func value(_ member: String) -> JSONValue? {
        known.append(member)
        guard let value = unread.removeValue(forKey: member), value != .null else { return nil }
        return value
    }

    /// Text of 1 to `max` bytes without control characters.
    public mutating func string(_ member: String, max: Int = 256) throws(Problem) -> String? {
        guard let value = value(member) else { return nil }
        return try checkedString(value, name(member), max: max)
    }

    /// The same, where empty text says that there is none.
    public mutating func optionalString(_ member: String, max: Int = 256) throws(Problem) -> String? {
        guard let value = value(member), value != .string("") else { return nil }
        return try checkedString(value, name(member), max: max)
    }

    /// Text of up to `max` bytes that may have several lines; nil when it is absent or empty.
    public mutating func lines(_ member: String, max: Int) throws(Problem) -> String? {
        guard let value = value(member), value != .string("") else { return nil }
        return try checkedString(value, name(member), max: max, hasLines: true)
    }

    public mutating func int(_ member: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let value = value(member) else { return nil }
        guard case .int(let number) = value else {
            let isTooLarge = if case .double(let number) = value { number.rounded() == number } else { false }
            throw .field(name(member), isTooLarge ? "must be an integer within ±(2^53−1)" : "must be an integer")
        }
        guard range.contains(number) else {
            throw .field(name(member), "must be from \(range.lowerBound) to \(range.upperBound), not \(number)")
        }
        return number
    }

    public mutating func bool(_ member: String) throws(Problem) -> Bool? {
        guard let value = value(member) else { return nil }
        guard case .bool(let flag) = value else { throw .field(name(member), "must be true or false") }
        return flag
    }

    /// The value of a member that is not read yet.
    public func peek(_ member: String) -> JSONValue? { unread[member] }

    /// A length of time in milliseconds: an integer, or text such as `"30s"`.
    /// - Parameter leastPlain: integers below it are refused, where whoever writes 60 means seconds. Text may say less.
    public mutating func durationMs(
        _ member: String, in range: ClosedRange<Int>, leastPlain: Int = 0
    ) throws(Problem) -> Int? {
        guard let value = value(member) else { return nil }
        let ms: Int
        switch value {
        case .int(let number):
            if range.contains(number), number < leastPlain {
                throw .field(
                    name(member),
                    "needs a unit below \(leastPlain): \"\(number)s\" is seconds, \"\(number)ms\" milliseconds")
            }
            ms = number
        case .string(let text):
            guard let parsed = DurationText.parseMs(text) else {
                throw .field(
                    name(member), "must be milliseconds or a length such as \"250ms\", \"30s\", \"5m\", \"1h\", \"7d\"")
            }
            ms = parsed
        default: throw .field(name(member), "must be milliseconds or a length such as \"30s\"")
        }
        guard range.contains(ms) else {
            throw .field(name(member), "must be from \(range.lowerBound) to \(range.upperBound) ms, not \(ms)")
        }
        return ms
    }

    /// One of a fixed set of words.
    public mutating func word<Word: RawRepresentable & CaseIterable>(
        _ member: String, _ type: Word.Type
    ) throws(Problem) -> Word? where Word.RawValue == String {
        guard let text = try string(member) else { return nil }
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw .field(name(member), "must be one of \(known)")
        }
        return word
    }

    /// One text, or an array of up to `maxCount` of them.
    public mutating func strings(_ member: String, max: Int = 256, maxCount: Int) throws(Problem) -> [String]? {
        guard let value = value(member) else { return nil }
        guard case .array(let elements) = value else { return [try checkedString(value, name(member), max: max)] }
        guard elements.count <= maxCount else {
            throw .field(name(member), "must have at most \(maxCount) elements, not \(elements.count)")
        }
        var texts: [String] = []
        texts.reserveCapacity(elements.count)
        for (i, element) in elements.enumerated() {
            texts.append(try checkedString(element, "\(name(member))[\(i)]", max: max))
        }
        return texts
    }

    /// The elements of an array of at most `maxCount`.
    public mutating func array(_ member: String, maxCount: Int) throws(Problem) -> [JSONValue]? {
        guard let value = value(member) else { return nil }
        guard case .array(let elements) = value else { throw .field(name(member), "must be an array") }
        guard elements.count <= maxCount else {
            throw .field(name(member), "must have at most \(maxCount) elements, not \(elements.count)")
        }
        return elements
    }

    public mutating func object(_ member: String) throws(Problem) -> Fields? {
        guard let value = value(member) else { return nil }
        return try Fields(value, of: name(member))
    }

    /// Reads and drops members that a client may send back as it got them.
    public mutating func ignore(_ members: String...) {
        for member in members { unread.removeValue(forKey: member) }
    }

    /// Refuses members that were not read.
    public func finish() throws(Problem) {
        guard let unknown = order.first(where: { unread[$0] != nil }) else { return }
        let guess = Fields.likeliest(unknown, of: known).map { "; did you mean \(name($0))?" } ?? ""
        throw .field(name(unknown), "is not a field that is known here" + guess)
    }

    /// What other programs call some members.
    private static let elsewhere = [
        "cron": "schedule", "delay": "runAt", "at": "runAt", "args": "config", "payload": "config", "data": "config",
        "retry": "retries", "attempts": "retries", "tz": "timeZone", "timezone": "timeZone", "kind": "type",
        "dependson": "dependencies",
    ]

    /// The member that was most likely meant by another word; nil when none is like it.
    private static func likeliest(_ word: String, of known: [String]) -> String? {
        let lowercased = word.lowercased()
        if let name = elsewhere[lowercased], known.contains(name) { return name }
        guard (4...64).contains(word.utf8.count) else { return nil }
        let near = known.map { ($0, distance(lowercased, $0.lowercased())) }.min { $0.1 < $1.1 }
        guard let near, near.1 <= max(1, word.utf8.count / 4) else { return nil }
        return near.0
    }

    /// How many letters have to be changed, added or left out to make one word of another.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var corner = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let change = corner + (letter == other ? 0 : 1)
                corner = row[j + 1]
                row[j + 1] = min(change, min(row[j], row[j + 1]) + 1)
            }
        }
        return row[b.count]
    }

    /// - Parameter hasLines: whether there may be line breaks and tabs.
    private func checkedString(
        _ value: JSONValue, _ name: String, max: Int, hasLines: Bool = false
    ) throws(Problem) -> String {
        guard case .string(let text) = value else { throw .field(name, "must be a string") }
        guard !text.isEmpty else { throw .field(name, "must not be empty") }
        guard text.utf8.count <= max else { throw .field(name, "must be at most \(max) bytes long") }
        let isText = text.utf8.allSatisfy { byte in
            byte >= 0x20 && byte != 0x7F || hasLines && (byte == 0x09 || byte == 0x0A || byte == 0x0D)
        }
        guard isText else {
            let exception = hasLines ? " other than line breaks and tabs" : ""
            throw .field(name, "must not contain control characters" + exception)
        }
        return text
    }
}

extension Optional {
    /// The value of a field that must be there.
    public func required(_ name: String) throws(Problem) -> Wrapped {
        guard let self else { throw .field(name, "is required") }
        return self
    }
}

/// One value of a log line.
public enum LogValue: Sendable, Equatable {
    case string(String)
    case int(Int)
    case double(Double)
    case bool(Bool)
}

extension LogValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The fields of a log line, in order: `["address": .string(text), "attempt": .int(3)]`. Names are literals in
/// camelCase, units last (`delayMs`); values may be anything a client sent, and are escaped.
public struct LogFields: Sendable, ExpressibleByDictionaryLiteral {
    var items: [(name: StaticString, value: LogValue)]

    public init(dictionaryLiteral elements: (StaticString, LogValue)...) {
        items = elements.map { ($0.0, $0.1) }
    }

    public mutating func append(_ name: StaticString, _ value: LogValue) { items.append((name, value)) }

    public mutating func append(_ other: LogFields) { items += other.items }
}

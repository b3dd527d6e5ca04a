import JSON

/// One row: named values in order. A null reads as absent.
struct DataRow: Sendable, Equatable {
    var fields: [JSONValue.Member] = []

    subscript(name: String) -> JSONValue? {
        guard let value = fields.first(where: { $0.key == name })?.value, value != .null else { return nil }
        return value
    }

    mutating func set(_ name: String, _ value: JSONValue) {
        let member = JSONValue.Member(name, value)
        if let at = fields.firstIndex(where: { $0.key == name }) { fields[at] = member } else { fields.append(member) }
    }

    var json: JSONValue { .object(fields) }
}

/// What is wrong with one row.
struct RowError: Error, Equatable {
    let text: String

    init(_ text: String) { self.text = text }
}

/// Numbers of rows: integers are exact and stay within ±(2^53−1).
enum DataNumber {
    static let most = 9_007_199_254_740_991

    /// A number that is written as text: digits, a sign, a fraction, an exponent. Nil for anything else.
    static func parse(_ text: String) -> JSONValue? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0) }) else { return nil }
        if let whole = Int(text) { return whole.magnitude <= most ? .int(whole) : nil }
        guard let number = Double(text), number.isFinite else { return nil }
        return .double(number)
    }

    static func double(_ value: JSONValue) -> Double? {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    /// Whether one is below the other: numbers by value, texts by their bytes; nil when they cannot be compared.
    static func isLess(_ left: JSONValue, _ right: JSONValue) -> Bool? {
        if case .int(let a) = left, case .int(let b) = right { return a < b }
        if let a = double(left), let b = double(right) { return a < b }
        if case .string(let a) = left, case .string(let b) = right { return a.utf8.lexicographicallyPrecedes(b.utf8) }
        return nil
    }

    /// Whether both are the same: `1` and `1.0` are, `1` and `"1"` are not, and texts are by their bytes.
    static func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if case .string(let a) = left, case .string(let b) = right { return a.utf8.elementsEqual(b.utf8) }
        if let a = double(left), let b = double(right) { return a == b }
        return left == right
    }

    enum Operation: String, CaseIterable, Sendable { case add, subtract, multiply, divide }

    static func apply(
        _ operation: Operation, _ left: JSONValue, _ right: JSONValue
    ) throws(RowError) -> JSONValue {
        guard let a = double(left), let b = double(right) else { throw RowError("\(operation) takes numbers only") }
        if operation == .divide, b == 0 { throw RowError("divide by zero") }
        if case .int(let a) = left, case .int(let b) = right, let exact = exact(operation, a, b) {
            guard exact.magnitude <= most else { throw RowError("\(operation) goes beyond ±(2^53−1)") }
            return .int(exact)
        }
        let number =
            switch operation {
            case .add: a + b
            case .subtract: a - b
            case .multiply: a * b
            case .divide: a / b
            }
        guard number.isFinite else { throw RowError("\(operation) goes beyond what a number holds") }
        return .double(number)
    }

    /// The result when it is an integer. Operands are within 2^53, so only a product may overflow.
    private static func exact(_ operation: Operation, _ a: Int, _ b: Int) -> Int? {
        switch operation {
        case .add: return a + b
        case .subtract: return a - b
        case .multiply:
            let (product, overflows) = a.multipliedReportingOverflow(by: b)
            return overflows ? Int.max : product
        case .divide: return a % b == 0 ? a / b : nil
        }
    }
}

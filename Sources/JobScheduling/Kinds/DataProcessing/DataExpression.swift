import JSON
import Services

/// What a field of `map` is made of.
///
/// | written | is |
/// |---|---|
/// | `"price"` | the field of that name |
/// | `5`, `true` | itself |
/// | `{"const": …}` | any JSON |
/// | `{"add": [a, b, …]}`, `{"multiply": [a, b, …]}`, `{"subtract": [a, b]}`, `{"divide": [a, b]}` | a number |
/// | `{"concat": [a, b, …]}` | the texts of what is there, joined |
/// | `{"upper": a}`, `{"lower": a}`, `{"trim": a}` | a text |
/// | `{"number": a}`, `{"text": a}` | a text as a number, a number or true as a text |
/// | `{"default": [a, b, …]}` | the first that is there |
///
/// Arithmetic on what is absent or no number makes the row invalid; every other function of what is absent is absent.
indirect enum DataExpression: Sendable {
    enum Function: String, CaseIterable, Sendable { case upper, lower, trim, number, text }

    case field(String)
    case constant(JSONValue)
    case arithmetic(DataNumber.Operation, [DataExpression])
    case concat([DataExpression])
    case function(Function, DataExpression)
    case first([DataExpression])

    static let deepest = 8
    static let mostOperands = 32

    // MARK: Reading

    init(_ value: JSONValue, _ name: String, depth: Int = 1) throws(Problem) {
        guard depth <= DataExpression.deepest else { throw .field(name, "is nested too deeply") }
        switch value {
        case .string(let field): self = .field(try DataNames.check(field, name))
        case .int, .double, .bool: self = .constant(value)
        case .object(let members) where members.count == 1:
            self = try DataExpression.call(members[0], "\(name).\(members[0].key)", depth)
        default: throw .field(name, "must be a field's name, a number, or an object with one function")
        }
    }

    private static func call(_ member: JSONValue.Member, _ name: String, _ depth: Int) throws(Problem) -> DataExpression
    {
        func operands(_ range: ClosedRange<Int>) throws(Problem) -> [DataExpression] {
            guard case .array(let elements) = member.value, range.contains(elements.count) else {
                let count = range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
                throw .field(name, "must be an array of \(count) operands")
            }
            var operands: [DataExpression] = []
            for (i, element) in elements.enumerated() {
                operands.append(try DataExpression(element, "\(name)[\(i)]", depth: depth + 1))
            }
            return operands
        }
        if let operation = DataNumber.Operation(rawValue: member.key) {
            let isPair = operation == .subtract || operation == .divide
            return .arithmetic(operation, try operands(2...(isPair ? 2 : mostOperands)))
        }
        if let function = Function(rawValue: member.key) {
            return .function(function, try DataExpression(member.value, name, depth: depth + 1))
        }
        switch member.key {
        case "const": return .constant(member.value)
        case "concat": return .concat(try operands(1...mostOperands))
        case "default": return .first(try operands(1...mostOperands))
        default: throw .field(name, "is not a function that is known here")
        }
    }

    // MARK: Evaluating

    /// The value for a row, nil for none.
    func value(_ row: DataRow) throws(RowError) -> JSONValue? {
        switch self {
        case .field(let name): return row[name]
        case .constant(let value): return value == .null ? nil : value
        case .arithmetic(let operation, let operands):
            var result: JSONValue?
            for operand in operands {
                guard let value = try operand.value(row) else {
                    throw RowError("\(operation) lacks \(operand.label)")
                }
                if let left = result {
                    result = try DataNumber.apply(operation, left, value)
                } else {
                    result = value
                }
            }
            return result
        case .concat(let operands):
            var text = ""
            for operand in operands {
                if let value = try operand.value(row) { text += try DataExpression.text(value) }
            }
            return .string(text)
        case .function(let function, let operand):
            guard let value = try operand.value(row) else { return nil }
            return try DataExpression.apply(function, value)
        case .first(let operands):
            for operand in operands {
                if let value = try operand.value(row) { return value }
            }
            return nil
        }
    }

    private var label: String { if case .field(let name) = self { name } else { "an operand" } }

    private static func apply(_ function: Function, _ value: JSONValue) throws(RowError) -> JSONValue {
        let text = try text(value)
        switch function {
        case .upper: return .string(text.uppercased())
        case .lower: return .string(text.lowercased())
        case .trim: return .string(trimmed(text))
        case .text: return .string(text)
        case .number:
            if DataNumber.double(value) != nil { return value }
            guard case .string = value, let number = DataNumber.parse(trimmed(text)) else {
                throw RowError("\(text.prefix(40)) is no number")
            }
            return number
        }
    }

    private static func text(_ value: JSONValue) throws(RowError) -> String {
        switch value {
        case .string(let text): return text
        case .int, .double, .bool: return value.text()
        default: throw RowError("a list or an object is no text")
        }
    }

    private static func trimmed(_ text: String) -> String {
        let front = text.drop(while: \.isWhitespace)
        return String(front.prefix(front.count - front.reversed().prefix(while: \.isWhitespace).count))
    }
}

/// Names of fields.
enum DataNames {
    static func check(_ name: String, _ place: String) throws(Problem) -> String {
        guard !name.isEmpty, name.utf8.count <= 128, name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw .field(place, "must be a field's name: 1 to 128 bytes without control characters")
        }
        return name
    }
}

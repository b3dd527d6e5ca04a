import JSON
import Services

/// The step `filter`: rows for which it does not hold are left out.
///
/// `eq` and `ne` compare any values, `lt` `le` `gt` `ge` numbers with numbers and texts with texts, `in` asks for one of
/// a list, `matches` for a pattern with `*` and `?`, `exists` for presence (`value` true, the default) or absence. What
/// is absent equals nothing, and what cannot be compared is neither below nor above.
struct DataFilter: Sendable {
    enum Comparison: String, CaseIterable, Sendable { case eq, ne, lt, le, gt, ge, `in`, matches, exists }

    private enum Test: Sendable {
        case compare(Comparison, JSONValue)
        case among([JSONValue])
        case matches(WildcardPattern)
        case exists(Bool)
    }

    private let field: String
    private let test: Test

    init(_ value: JSONValue, _ name: String) throws(Problem) {
        var fields = try Fields(value, of: name)
        field = try DataNames.check(
            try fields.string("field", max: 128).required(fields.name("field")), name + ".field")
        let comparison = try fields.word("op", Comparison.self).required(fields.name("op"))
        let place = fields.name("value")
        let operand = fields.value("value")
        switch comparison {
        case .exists:
            guard case .bool(let flag) = operand ?? .bool(true) else { throw .field(place, "must be true or false") }
            test = .exists(flag)
        case .in:
            guard case .array(let list) = operand, list.count <= 1000 else {
                throw .field(place, "must be an array of at most 1000 values")
            }
            test = .among(list)
        case .matches:
            guard case .string(let text) = operand, text.utf8.count <= 256 else {
                throw .field(place, "must be a pattern of at most 256 bytes")
            }
            test = .matches(WildcardPattern(text))
        default:
            switch operand {
            case .string, .int, .double, .bool: test = .compare(comparison, operand ?? .null)
            default: throw .field(place, "must be a text, a number, true or false")
            }
        }
        try fields.finish()
    }

    func holds(_ row: DataRow) -> Bool {
        let value = row[field]
        switch test {
        case .exists(let flag): return (value != nil) == flag
        case .among(let list): return value.map { value in list.contains { DataNumber.isEqual($0, value) } } ?? false
        case .matches(let pattern):
            guard case .string(let text)? = value else { return false }
            return pattern.matches(Array(text.utf8))
        case .compare(let comparison, let operand):
            guard let value else { return comparison == .ne }
            switch comparison {
            case .eq: return DataNumber.isEqual(value, operand)
            case .ne: return !DataNumber.isEqual(value, operand)
            case .lt: return DataNumber.isLess(value, operand) == true
            case .gt: return DataNumber.isLess(operand, value) == true
            case .le: return DataNumber.isLess(operand, value) == false
            default: return DataNumber.isLess(value, operand) == false
            }
        }
    }
}

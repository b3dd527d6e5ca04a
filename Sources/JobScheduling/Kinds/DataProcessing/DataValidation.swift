import JSON
import Services

/// The step `validate`: what a field must be.
struct DataValidation: Sendable {
    enum FieldType: String, CaseIterable, Sendable { case string, number, integer, boolean }

    struct Rule: Sendable {
        var field: String
        var type: FieldType?
        var isRequired = false
        /// Of a number its value, of a text its length in characters.
        var least: Double?
        var most: Double?
        var pattern: WildcardPattern?
    }

    private let rules: [Rule]

    init(_ value: JSONValue, _ name: String) throws(Problem) {
        guard case .object(let members) = value, (1...128).contains(members.count) else {
            throw .field(name, "must be an object of 1 to 128 fields")
        }
        var rules: [Rule] = []
        for member in members { rules.append(try DataValidation.rule(member, "\(name).\(member.key)")) }
        self.rules = rules
    }

    private static func rule(_ member: JSONValue.Member, _ name: String) throws(Problem) -> Rule {
        var rule = Rule(field: try DataNames.check(member.key, name))
        var fields = try Fields(member.value, of: name)
        rule.type = try fields.word("type", FieldType.self)
        rule.isRequired = try fields.bool("required") ?? false
        rule.least = try number(&fields, "min")
        rule.most = try number(&fields, "max")
        if let least = rule.least, let most = rule.most, least > most {
            throw .field(fields.name("max"), "must not be below min")
        }
        if let text = try fields.string("pattern", max: 256) {
            guard rule.type == nil || rule.type == .string else {
                throw .field(fields.name("pattern"), "is for fields of the type string")
            }
            rule.pattern = WildcardPattern(text)
        }
        try fields.finish()
        return rule
    }

    private static func number(_ fields: inout Fields, _ member: String) throws(Problem) -> Double? {
        guard let value = fields.value(member) else { return nil }
        guard let number = DataNumber.double(value) else { throw .field(fields.name(member), "must be a number") }
        return number
    }

    /// Checks a row.
    /// - Parameter isText: whether every value came as text (CSV), and so is first read as what it should be.
    func check(_ row: inout DataRow, isText: Bool) throws(RowError) {
        for rule in rules {
            guard var value = row[rule.field] else {
                if rule.isRequired { throw RowError("\(rule.field) is required") }
                continue
            }
            if isText, let type = rule.type, case .string(let text) = value {
                guard let read = DataValidation.read(text, type) else {
                    throw RowError("\(rule.field) must be of the type \(type), not \(text.prefix(40))")
                }
                value = read
                row.set(rule.field, value)
            }
            try DataValidation.check(value, rule)
        }
    }

    private static func read(_ text: String, _ type: FieldType) -> JSONValue? {
        switch type {
        case .string: return .string(text)
        case .number, .integer: return DataNumber.parse(text)
        case .boolean: return text == "true" ? .bool(true) : text == "false" ? .bool(false) : nil
        }
    }

    private static func check(_ value: JSONValue, _ rule: Rule) throws(RowError) {
        if let type = rule.type, !isOf(type, value) { throw RowError("\(rule.field) must be of the type \(type)") }
        if rule.least != nil || rule.most != nil {
            let size: Double
            let what: String
            if case .string(let text) = value {
                (size, what) = (Double(text.unicodeScalars.count), "'s length")
            } else if let number = DataNumber.double(value) {
                (size, what) = (number, "")
            } else {
                throw RowError("\(rule.field) must be a number or a text")
            }
            if let least = rule.least, size < least { throw RowError("\(rule.field)\(what) is below \(plain(least))") }
            if let most = rule.most, size > most { throw RowError("\(rule.field)\(what) is above \(plain(most))") }
        }
        if let pattern = rule.pattern {
            guard case .string(let text) = value, pattern.matches(Array(text.utf8)) else {
                throw RowError("\(rule.field) does not match its pattern")
            }
        }
    }

    private static func isOf(_ type: FieldType, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case (.string, .string), (.number, .int), (.number, .double), (.integer, .int), (.boolean, .bool): true
        default: false
        }
    }

    private static func plain(_ number: Double) -> String {
        Int(exactly: number).map(String.init) ?? number.description
    }
}

import JSON
import Services

/// The step `aggregate`: one row per group, in the order in which groups were first seen.
///
/// `{by: [fields], count: true, sum: [fields], min: [fields], max: [fields], avg: [fields]}`. A row of the outcome has the
/// fields of `by`, then `count`, then `sum_<field>`, `min_<field>`, `max_<field>` and `avg_<field>`. Absent values count for
/// nothing (`avg`, `min` and `max` of none are absent, `sum` is 0); a value that is no number makes its row invalid, and
/// the row then counts in no group. Without `by` all rows are one group.
struct DataAggregate: Sendable {
    private enum Measure: String, CaseIterable, Sendable { case sum, min, max, avg }

    private struct Column: Sendable {
        let measure: Measure
        let field: String
    }

    private struct Group {
        let keys: [JSONValue]
        var rows = 0
        var values: [JSONValue?]
        /// How many values a column has seen.
        var counts: [Int]
    }

    static let mostGroups = 10_000

    private let by: [String]
    private let hasCount: Bool
    private let columns: [Column]

    init(_ value: JSONValue, _ name: String) throws(Problem) {
        var fields = try Fields(value, of: name)
        by = try DataAggregate.names(&fields, "by")
        hasCount = try fields.bool("count") ?? false
        var columns: [Column] = []
        for measure in Measure.allCases {
            for field in try DataAggregate.names(&fields, measure.rawValue) {
                columns.append(Column(measure: measure, field: field))
            }
        }
        self.columns = columns
        try fields.finish()
        guard hasCount || !columns.isEmpty else {
            throw .field(name, "must ask for one of count, sum, min, max, avg")
        }
    }

    private static func names(_ fields: inout Fields, _ member: String) throws(Problem) -> [String] {
        let place = fields.name(member)
        let names = try fields.strings(member, max: 128, maxCount: 32) ?? []
        guard Set(names).count == names.count else { throw .field(place, "names a field twice") }
        return names
    }

    /// The groups so far.
    struct Groups {
        private var groups: [Group] = []
        private var places: [String: Int] = [:]

        var count: Int { groups.count }

        /// Counts a row.
        mutating func add(_ row: DataRow, _ step: DataAggregate) throws(RowError) {
            let keys = step.by.map { row[$0] ?? .null }
            var values: [JSONValue?] = []
            for column in step.columns {
                let value = row[column.field]
                if let value, DataNumber.double(value) == nil { throw RowError("\(column.field) is no number") }
                values.append(value)
            }
            // By their JSON, which keeps 1 and "1" apart.
            let place = JSONValue.array(keys).text()
            var group: Group
            if let at = places[place] {
                group = groups[at]
            } else {
                let nothing = step.columns.map { _ -> JSONValue? in nil }
                group = Group(keys: keys, values: nothing, counts: nothing.map { _ in 0 })
            }
            group.rows += 1
            for (i, value) in values.enumerated() {
                guard let value else { continue }
                group.counts[i] += 1
                group.values[i] = try Groups.joined(group.values[i], value, step.columns[i].measure)
            }
            if let at = places[place] {
                groups[at] = group
            } else {
                places[place] = groups.count
                groups.append(group)
            }
        }

        private static func joined(
            _ left: JSONValue?, _ right: JSONValue, _ measure: Measure
        ) throws(RowError) -> JSONValue {
            guard let left else { return right }
            switch measure {
            case .sum, .avg: return try DataNumber.apply(.add, left, right)
            case .min: return DataNumber.isLess(right, left) == true ? right : left
            case .max: return DataNumber.isLess(left, right) == true ? right : left
            }
        }

        func rows(_ step: DataAggregate) -> [DataRow] {
            groups.map { group in
                var row = DataRow()
                for (name, key) in zip(step.by, group.keys) { row.set(name, key) }
                if step.hasCount { row.set("count", .int(group.rows)) }
                for (i, column) in step.columns.enumerated() {
                    let value: JSONValue? =
                        switch column.measure {
                        case .sum: group.values[i] ?? .int(0)
                        case .min, .max: group.values[i]
                        case .avg: group.values[i].flatMap { try? DataNumber.apply(.divide, $0, .int(group.counts[i])) }
                        }
                    if let value { row.set("\(column.measure.rawValue)_\(column.field)", value) }
                }
                return row
            }
        }
    }
}

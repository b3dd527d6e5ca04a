import JSON
import Services

/// Why a row of a file or of a bulk was not done.
struct RowError: Sendable {
    /// Its place among the rows as they were sent, or its line.
    var place: Int
    var problem: Problem
    /// The row as it was sent, where it is at hand and short.
    var row: JSONValue?

    private static let longestDetail = 300
    private static let longestField = 100

    init(_ place: Int, _ problem: Problem, row: JSONValue? = nil) {
        self.place = place
        self.problem = problem
        // Both may repeat what was sent, however long that is.
        self.problem.detail = String(problem.detail.prefix(RowError.longestDetail))
        self.problem.field = problem.field.map { String($0.prefix(RowError.longestField)) }
        self.row = row.flatMap { RowError.isShort($0) ? $0 : nil }
    }

    /// - Parameter name: what its place is called.
    func json(_ name: String) -> JSONValue {
        var members: [JSONValue.Member] = [.init(name, .int(place))]
        if let row { members.append(.init("adjustment", row)) }
        members.append(.init("error", .string(problem.detail)))
        if let field = problem.field { members.append(.init("field", .string(field))) }
        return .object(members)
    }

    /// Whether a row is no longer than one that could be right.
    private static func isShort(_ row: JSONValue) -> Bool {
        switch row {
        case .object(let members):
            members.count <= 10 && members.allSatisfy { $0.key.utf8.count <= 64 && isShortValue($0.value) }
        default: isShortValue(row)
        }
    }

    private static func isShortValue(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.utf8.count <= 256
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        case .null, .bool, .int, .double: true
        }
    }
}

/// What was not done of a file or of a bulk: as much as an answer tells, and how much there is in all.
struct RowErrors: Sendable {
    /// So many are told.
    static let most = 1000

    private(set) var count = 0
    private var told: [RowError] = []

    /// In the order of their places.
    var list: [RowError] { told.sorted { $0.place < $1.place } }

    var isEmpty: Bool { count == 0 }

    /// - Parameter error: made only if it is told: there may be millions.
    mutating func add(_ error: @autoclosure () -> RowError) {
        count += 1
        if told.count < RowErrors.most { told.append(error()) }
    }

    static func + (left: RowErrors, right: RowErrors) -> RowErrors {
        var all = left
        all.count += right.count
        all.told += right.told.prefix(RowErrors.most - left.told.count)
        return all
    }

    /// `failed`, `errors` and, where not all are told, how many are not.
    /// - Parameter name: what the place of a row is called.
    func members(_ name: String) -> [JSONValue.Member] {
        RowErrors.members(count: count, told: list.map { $0.json(name) })
    }

    static func members(count: Int, told: [JSONValue]) -> [JSONValue.Member] {
        let rest = count - told.count
        return [.init("failed", .int(count)), .init("errors", .array(told))]
            + (rest > 0 ? [.init("errorsNotTold", .int(rest))] : [])
    }
}

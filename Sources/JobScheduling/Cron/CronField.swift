/// The five fields of a cron expression, in their order.
enum CronField: Int, CaseIterable {
    case minute, hour, dayOfMonth, month, dayOfWeek

    /// As messages name it.
    var name: String {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .dayOfMonth: "day of month"
        case .month: "month"
        case .dayOfWeek: "day of week"
        }
    }

    /// Both 0 and 7 are Sunday.
    var range: ClosedRange<Int> {
        switch self {
        case .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .dayOfWeek: 0...7
        }
    }

    /// Words for numbers, from the first one on.
    var words: (first: Int, names: [String]) {
        switch self {
        case .month:
            (1, ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"])
        case .dayOfWeek: (0, ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
        default: (0, [])
        }
    }
}

/// Why a schedule was refused.
public struct CronError: Error, Sendable, Equatable, CustomStringConvertible {
    /// `minute`, `hour`, `day of month`, `month`, `day of week`, or `expression` when it is about the whole.
    public let field: String
    /// A clause for its author.
    public let detail: String

    init(_ field: String, _ detail: String) {
        self.field = field
        self.detail = detail
    }

    init(_ field: CronField, _ detail: String) { self.init(field.name, detail) }

    public var description: String { field == "expression" ? detail : "\(field): \(detail)" }
}

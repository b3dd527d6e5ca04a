import Foundation

/// A time zone of the system's database, and calendar arithmetic in it.
public struct Zone: Sendable {
    private let calendar: Calendar

    /// - Parameter identifier: an IANA name such as `Europe/Berlin`; nil when there is none of that name.
    public init?(identifier: String) {
        // Foundation also takes abbreviations and lower case, which other systems would not.
        guard let zone = TimeZone(identifier: identifier),
            identifier == "UTC" || TimeZone.knownTimeZoneIdentifiers.contains(identifier)
        else { return nil }
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = zone
        self.calendar = calendar
    }

    /// A calendar unit.
    public enum Unit: Sendable {
        case hour, day, week, month, year
    }

    /// The starts of the unit that holds a moment and of its neighbours: previous, current, following, the one after.
    ///
    /// Days start at local midnight (or right after the gap when that midnight is skipped), weeks on Monday.
    /// - Parameter us: microseconds since the Unix epoch, as are the results.
    public func starts(of unit: Unit, around us: Int64) -> [Int64] {
        let component: Calendar.Component =
            switch unit {
            case .hour: .hour
            case .day: .day
            case .week: .weekOfYear
            case .month: .month
            case .year: .year
            }
        let moment = Date(timeIntervalSince1970: Double(us / 1_000_000))
        let current = calendar.dateInterval(of: component, for: moment)!
        let previous = calendar.dateInterval(of: component, for: current.start.addingTimeInterval(-1))!
        let following = calendar.dateInterval(of: component, for: current.end.addingTimeInterval(1))!
        return [previous.start, current.start, current.end, following.end].map {
            Int64($0.timeIntervalSince1970.rounded()) * 1_000_000
        }
    }
}

import Foundation

/// A time zone of the system's database, and calendar arithmetic in it.
public struct Zone: Sendable {
    private let calendar: Calendar
    let table: ZoneTable

    /// The name it was made from.
    public let identifier: String

    /// - Parameter identifier: an IANA name such as `Europe/Berlin`; nil when there is none of that name.
    public init?(identifier: String) {
        // Foundation also takes abbreviations such as PST, which other systems would not; names of the database have an
        // area. Its own list of names lacks those that came later (Asia/Kolkata).
        guard let zone = TimeZone(identifier: identifier),
            identifier == "UTC" || (zone.identifier == identifier && identifier.contains("/"))
        else { return nil }
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = zone
        self.calendar = calendar
        self.identifier = identifier
        table = ZoneTable.of(zone)
    }

    /// A calendar unit.
    public enum Unit: Sendable {
        case hour, day, week, month, year
    }

    /// The starts of the unit that holds a moment and of its neighbours: previous, current, following, the one after.
    ///
    /// Days start at local midnight (or right after the gap when that midnight is skipped), weeks on Monday. An hour in
    /// which the clock is changed ends there.
    /// - Parameter us: microseconds since the Unix epoch, as are the results.
    public func starts(of unit: Unit, around us: Int64) -> [Int64] {
        let component: Calendar.Component
        switch unit {
        case .hour: return hours(around: us)
        case .day: component = .day
        case .week: component = .weekOfYear
        case .month: component = .month
        case .year: component = .year
        }
        let moment = Date(timeIntervalSince1970: Double(us / 1_000_000))
        let current = calendar.dateInterval(of: component, for: moment)!
        let previous = calendar.dateInterval(of: component, for: current.start.addingTimeInterval(-1))!
        let following = calendar.dateInterval(of: component, for: current.end.addingTimeInterval(1))!
        return [previous.start, current.start, current.end, following.end].map {
            Int64($0.timeIntervalSince1970.rounded()) * 1_000_000
        }
    }

    /// Foundation's own hours overlap where the clock is changed by half an hour (Australia/Lord_Howe).
    private func hours(around us: Int64) -> [Int64] {
        let current = hour(us / 1_000_000)
        let previous = hour(current.start - 1)
        let following = hour(current.end)
        return [previous.start, current.start, current.end, following.end].map { $0 * 1_000_000 }
    }

    /// The hour that holds a moment, in seconds since the epoch.
    private func hour(_ moment: Int64) -> (start: Int64, end: Int64) {
        let offset = offset(moment)
        let local = moment + offset
        let start = local - (local % 3600 + 3600) % 3600 - offset
        let end = start + 3600
        let change = { (after: Int64) -> Int64? in
            let date = Date(timeIntervalSince1970: Double(after))
            return calendar.timeZone.nextDaylightSavingTimeTransition(after: date).map {
                Int64($0.timeIntervalSince1970.rounded())
            }
        }
        let isChanged = self.offset(start) != offset
        return (
            isChanged ? max(min(change(start - 1) ?? start, moment), start) : start,
            self.offset(end) != offset ? min(change(moment) ?? end, end) : end
        )
    }

    private func offset(_ moment: Int64) -> Int64 {
        Int64(calendar.timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(moment))))
    }
}

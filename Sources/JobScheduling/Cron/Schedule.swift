import Services
import TimeZones

/// When a job runs again and again: what stands under `schedule`.
public enum Schedule: Sendable, Equatable {
    /// A cron expression, and the text it was written as (`@daily` included).
    case cron(CronExpression, text: String)
    /// `@every 90s`: at whole multiples of the interval since the epoch, whatever the zone.
    case every(ms: Int)

    /// - Parameter text: five fields, one of `@hourly @daily @midnight @weekly @monthly @yearly @annually`, or `@every` and
    ///   a length of time of at least 1 s (`DurationText`).
    public init(_ text: String) throws(CronError) {
        let words = text.split { $0 == " " || $0 == "\t" }
        guard let first = words.first, first.hasPrefix("@") else {
            self = .cron(try CronExpression(text), text: text)
            return
        }
        let name = first.lowercased()
        if name == "@every" {
            guard words.count == 2, let ms = DurationText.parseMs(String(words[1])), ms >= 1000 else {
                throw CronError("expression", "after @every belongs a length of time from 1s on, such as 90s, 5m or 1h")
            }
            self = .every(ms: ms)
            return
        }
        guard words.count == 1, let fields = Schedule.nicknames[name] else {
            throw CronError(
                "expression",
                "\"\(text)\" is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, @every 5m")
        }
        self = .cron(try CronExpression(fields), text: text)
    }

    /// The next slot strictly after a moment, both in milliseconds since the epoch.
    ///
    /// Nil when there is none by the end of the fiftieth year after the moment's (a schedule that follows the clock may
    /// ask for times that the zone's clock skips every year), or past the year 9999.
    public func next(afterMs: Int, in zone: Zone) -> Int? {
        guard afterMs < Schedule.latestMs else { return nil }
        // Nobody means a year that could not be written.
        let after = max(afterMs, Schedule.earliestMs)
        let slotMs =
            switch self {
            case .every(let ms): (after.floored(by: ms) + 1) * ms
            case .cron(let expression, _): expression.next(after: after.floored(by: 1000), in: zone).map { $0 * 1000 }
            }
        return slotMs.flatMap { $0 <= Schedule.latestMs ? $0 : nil }
    }

    /// 0001-01-01 00:00 and 9999-12-31 00:00, so that a year has four digits in every zone.
    private static let earliestMs = -62_135_596_800_000
    private static let latestMs = 253_402_214_400_000

    private static let nicknames = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]
}

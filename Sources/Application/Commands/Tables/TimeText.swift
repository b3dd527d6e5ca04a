import Bytes

/// Times and amounts, short.
enum TimeText {
    /// A moment as seen from `nowMs`: `3s ago`, `in 5m`, a date when it is over 30 days away.
    static func relative(_ ms: Int, nowMs: Int) -> String {
        let (difference, isPast) = (abs(ms - nowMs), ms <= nowMs)
        if difference < 1000 { return "now" }
        if difference > 30 * 86_400_000 { return String(Timestamp(us: Int64(ms) * 1000).rfc3339.prefix(10)) }
        let text = coarse(difference)
        return isPast ? text + " ago" : "in " + text
    }

    /// How long something took or may take: `850ms`, `3.2s`, `4m 5s`, `2h 3m`, `5d 2h`.
    static func duration(_ ms: Int) -> String {
        switch ms {
        case ..<1000: "\(ms)ms"
        case ..<60_000: ms % 1000 < 100 ? "\(ms / 1000)s" : "\(ms / 1000).\(ms % 1000 / 100)s"
        case ..<3_600_000: pair(ms / 60_000, "m", ms / 1000 % 60, "s")
        case ..<86_400_000: pair(ms / 3_600_000, "h", ms / 60_000 % 60, "m")
        default: pair(ms / 86_400_000, "d", ms / 3_600_000 % 24, "h")
        }
    }

    /// Bytes in the unit that leaves at most four digits: `812B`, `64KiB`, `2048MiB`.
    static func bytes(_ count: Int) -> String {
        var amount = count
        for unit in ["B", "KiB", "MiB"] {
            if amount < 10_000 { return "\(amount)\(unit)" }
            amount /= 1024
        }
        return "\(amount)GiB"
    }

    /// The time of an RFC 3339 text, ms since the epoch.
    static func ms(_ text: String) -> Int? {
        text.withByteView { Timestamp(rfc3339: $0) }.map { Int($0.us / 1000) }
    }

    private static func coarse(_ ms: Int) -> String {
        switch ms {
        case ..<60_000: "\(ms / 1000)s"
        case ..<3_600_000: "\(ms / 60_000)m"
        case ..<86_400_000: "\(ms / 3_600_000)h"
        default: "\(ms / 86_400_000)d"
        }
    }

    private static func pair(_ large: Int, _ unit: String, _ small: Int, _ smallUnit: String) -> String {
        small == 0 ? "\(large)\(unit)" : "\(large)\(unit) \(small)\(smallUnit)"
    }
}

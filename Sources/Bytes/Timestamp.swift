/// A moment of the calendar, in microseconds since the Unix epoch, as texts of RFC 3339 give it.
public struct Timestamp: Sendable, Hashable, Comparable {
    public var us: Int64

    @inlinable
    public init(us: Int64) { self.us = us }

    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.us < right.us }

    /// Appends the time in UTC with milliseconds, always 24 bytes: `2026-11-22T23:05:00.123Z`. Microseconds are cut
    /// off, never rounded up; a year outside 0000 to 9999 becomes the nearest moment that can be written.
    public func appendRFC3339(to buffer: ByteBuffer) {
        buffer.didAppend(writeRFC3339(to: buffer.reserve(24)))
    }

    /// The same at `at`, which has room for it; returns the 24.
    public func writeRFC3339(to at: UnsafeMutablePointer<UInt8>) -> Int {
        let clamped = min(max(us, Timestamp.earliestUs), Timestamp.latestUs)
        let (day, inDayUs) = clamped.flooredDivision(by: 86_400_000_000)
        let date = CalendarDate(daysSinceEpoch: Int(day))
        let ms = Int(inDayUs / 1000)
        put4(at, date.year)
        at[4] = 0x2D
        put2(at + 5, date.month)
        at[7] = 0x2D
        put2(at + 8, date.day)
        at[10] = 0x54
        put2(at + 11, ms / 3_600_000)
        at[13] = 0x3A
        put2(at + 14, ms / 60000 % 60)
        at[16] = 0x3A
        put2(at + 17, ms / 1000 % 60)
        at[19] = 0x2E
        at[20] = digit(ms / 100 % 10)
        put2(at + 21, ms % 100)
        at[23] = 0x5A
        return 24
    }

    /// The text of `appendRFC3339`.
    public var rfc3339: String {
        let buffer = ByteBuffer(capacity: 24)
        appendRFC3339(to: buffer)
        return buffer.view.string
    }

    /// Reads RFC 3339: `2026-11-22T23:05:00`, a fraction of one to nine digits if any (what lies below a microsecond is
    /// cut off), then `Z` or an offset `+02:00`, which is required. Nil when it is anything else or no such moment.
    ///
    /// A leap second (`:60`) is taken where one can be, at the last second of a UTC day, and is the moment after it.
    public init?(rfc3339 text: ByteView) {
        guard text.count >= 20,
            let year = number(text, 0, 4), text[4] == 0x2D, let month = number(text, 5, 2), text[7] == 0x2D,
            let day = number(text, 8, 2), text[10] | 0x20 == 0x74,
            let hour = number(text, 11, 2), text[13] == 0x3A, let minute = number(text, 14, 2), text[16] == 0x3A,
            let second = number(text, 17, 2),
            hour <= 23, minute <= 59, second <= 60,
            let days = CalendarDate(year: year, month: month, day: day)?.daysSinceEpoch
        else { return nil }
        var at = 19
        var fractionUs = 0
        if text[at] == 0x2E {
            at += 1
            let first = at
            var unitUs = 100_000
            while at < text.count, text[at].isDigit {
                fractionUs += unitUs * Int(text[at] &- 0x30)
                unitUs /= 10
                at += 1
            }
            guard at > first, at - first <= 9 else { return nil }
        }
        guard let offsetMinutes = offset(text.dropFirst(at)) else { return nil }
        let minutes = (days * 24 + hour) * 60 + minute - offsetMinutes
        if second == 60, (minutes % 1440 + 1440) % 1440 != 1439 { return nil }
        us = Int64(minutes * 60 + second) * 1_000_000 + Int64(fractionUs)
    }

    private static let earliestUs: Int64 = -62_167_219_200_000_000
    private static let latestUs: Int64 = 253_402_300_799_999_999
}

/// A day of the Gregorian calendar, extended backwards.
///
/// The conversions are Howard Hinnant's `days_from_civil` and `civil_from_days`
/// (https://howardhinnant.github.io/date_algorithms.html).
public struct CalendarDate: Sendable, Equatable {
    public let year: Int
    /// 1 to 12.
    public let month: Int
    /// 1 to 31.
    public let day: Int

    /// Nil when the month has no such day.
    public init?(year: Int, month: Int, day: Int) {
        guard month >= 1, month <= 12, day >= 1, day <= CalendarDate.length(ofMonth: month, year: year) else {
            return nil
        }
        self.year = year
        self.month = month
        self.day = day
    }

    public init(daysSinceEpoch: Int) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    public var daysSinceEpoch: Int {
        let fromMarch = month <= 2 ? year - 1 : year
        let era = (fromMarch >= 0 ? fromMarch : fromMarch - 399) / 400
        let yearOfEra = fromMarch - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    public static func length(ofMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

extension Int64 {
    /// Quotient rounded down and the remainder, which is never negative.
    func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

private func digit(_ value: Int) -> UInt8 { UInt8(truncatingIfNeeded: 0x30 + value) }

private func put2(_ at: UnsafeMutablePointer<UInt8>, _ value: Int) {
    at[0] = digit(value / 10)
    at[1] = digit(value % 10)
}

private func put4(_ at: UnsafeMutablePointer<UInt8>, _ value: Int) {
    put2(at, value / 100)
    put2(at + 2, value % 100)
}

private func number(_ text: ByteView, _ start: Int, _ length: Int) -> Int? {
    text.slice(start, start + length).decimal
}

/// Minutes east of UTC of `Z` or `+hh:mm`, which must be all there is.
private func offset(_ text: ByteView) -> Int? {
    if text.count == 1, text[0] | 0x20 == 0x7A { return 0 }
    guard text.count == 6, text[0] == 0x2B || text[0] == 0x2D, text[3] == 0x3A,
        let hours = number(text, 1, 2), let minutes = number(text, 4, 2), hours <= 23, minutes <= 59
    else { return nil }
    return text[0] == 0x2D ? -(hours * 60 + minutes) : hours * 60 + minutes
}

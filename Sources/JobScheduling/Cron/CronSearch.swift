import Bytes
import TimeZones

/// Finding the next slot. Local times are minutes as a clock without offset would count them since 1970-01-01 00:00.
extension CronExpression {
    /// The next slot strictly after a moment, both in seconds since the Unix epoch; nil when there is none by the end of
    /// the fiftieth year after the moment's.
    func next(after seconds: Int, in zone: Zone) -> Int? {
        let local = seconds + zone.offsetSeconds(at: seconds)
        let lastYear = CalendarDate(daysSinceEpoch: local.floored(by: 86400)).year + 50
        return followsClock
            ? nextOnClock(after: seconds, in: zone, lastYear: lastYear)
            : nextFixed(after: seconds, in: zone, lastYear: lastYear)
    }

    /// Fixed times, each once on its day: a skipped one right after the gap, a repeated one the first time.
    private func nextFixed(after seconds: Int, in zone: Zone, lastYear: Int) -> Int? {
        var from = (seconds + zone.offsetSeconds(at: seconds)).floored(by: 60) + 1
        while let minute = localMinute(from: from, lastYear: lastYear) {
            let slot =
                switch zone.moments(ofLocal: minute * 60) {
                case .once(let moment), .twice(let moment, _), .skipped(let moment): moment
                }
            // Not after it: the moment lies in the repetition of what has run already.
            if slot > seconds { return slot }
            from = minute + 1
        }
        return nil
    }

    /// Every minute at which the clock shows a time that fits: between two changes of the clock, one after the other.
    private func nextOnClock(after seconds: Int, in zone: Zone, lastYear: Int) -> Int? {
        var begin = seconds + 1
        while true {
            let offset = zone.offsetSeconds(at: begin)
            let end = zone.nextTransition(after: begin) ?? Int.max
            // The first whole minute from `begin` on.
            let from = (begin + offset + 59).floored(by: 60)
            guard CalendarDate(daysSinceEpoch: from.floored(by: 1440)).year <= lastYear else { return nil }
            if let minute = localMinute(from: from, lastYear: lastYear), minute * 60 - offset < end {
                return minute * 60 - offset
            }
            guard end < Int.max else { return nil }
            begin = end
        }
    }

    /// The first minute of the calendar that fits, from one on.
    private func localMinute(from: Int, lastYear: Int) -> Int? {
        var day = from.floored(by: 1440)
        var inDay = from - day * 1440
        while true {
            let date = CalendarDate(daysSinceEpoch: day)
            guard date.year <= lastYear else { return nil }
            if months >> UInt64(date.month) & 1 == 0 {
                day += CalendarDate.length(ofMonth: date.month, year: date.year) - date.day + 1
            } else if fits(date, weekday: CronExpression.weekday(day)), let minute = minuteOfDay(from: inDay) {
                return day * 1440 + minute
            } else {
                day += 1
            }
            inDay = 0
        }
    }

    private func minuteOfDay(from: Int) -> Int? {
        let (hour, minute) = from.quotientAndRemainder(dividingBy: 60)
        if hours >> UInt64(hour) & 1 == 1 {
            let rest = minutes >> UInt64(minute)
            if rest != 0 { return hour * 60 + minute + rest.trailingZeroBitCount }
        }
        let later = hours >> UInt64(hour + 1)
        return later == 0 ? nil : (hour + 1 + later.trailingZeroBitCount) * 60 + minutes.trailingZeroBitCount
    }

    /// 0 is Sunday; 1 January 1970 was a Thursday.
    private static func weekday(_ daysSinceEpoch: Int) -> Int {
        let shifted = daysSinceEpoch + 4
        return shifted - shifted.floored(by: 7) * 7
    }
}

extension Int {
    /// The quotient, rounded down.
    func floored(by divisor: Int) -> Int {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

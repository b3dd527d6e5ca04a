import Bytes

/// Five fields that say at which minutes of the local clock something runs, by the rules of Debian's cron, as PyPI's
/// cronsim has them (`deploy/cron-compare` compares).
///
/// Names in any case (`JAN`, `MON`), ranges, steps, lists, `L` and `LW` among the days of the month, `MON#2` and `5L`
/// among those of the week, 0 and 7 are Sunday. A day fits when its day of the month **or** its day of the week is
/// allowed; when one of the two fields begins with `*`, when both are.
public struct CronExpression: Sendable, Equatable {
    let minutes: UInt64
    let hours: UInt64
    let months: UInt64
    let daysOfMonth: CronValues
    let daysOfWeek: CronValues
    /// Days must fit both fields of days.
    let needsBothDays: Bool
    /// It follows the clock: neither run for a minute that the clock skips, and again for one that it repeats. Otherwise
    /// (neither minute nor hour begins with `*`) it has fixed times, each of which runs once on its day.
    let followsClock: Bool

    /// - Throws: for what is no such expression, and for one that no date ever fits (`* * 30 2 *`).
    public init(_ text: String) throws(CronError) {
        let upper = String(decoding: text.utf8.map { $0 >= 0x61 && $0 <= 0x7A ? $0 - 0x20 : $0 }, as: UTF8.self)
        let fields = upper.split { $0 == " " || $0 == "\t" }
        guard fields.count == 5 else {
            throw CronError(
                "expression",
                "five fields are needed (minute, hour, day of month, month, day of week), not \(fields.count)")
        }
        minutes = try CronParser(field: .minute).values(fields[0]).numbers
        hours = try CronParser(field: .hour).values(fields[1]).numbers
        daysOfMonth = try CronParser(field: .dayOfMonth).values(fields[2])
        months = try CronParser(field: .month).values(fields[3]).numbers
        var daysOfWeek = try CronParser(field: .dayOfWeek).values(fields[4])
        if daysOfWeek.contains(7) { daysOfWeek.numbers = daysOfWeek.numbers & 0x7F | 1 }
        self.daysOfWeek = daysOfWeek
        needsBothDays = fields[2].first == "*" || fields[4].first == "*"
        followsClock = fields[0].first == "*" || fields[1].first == "*"
        try refuseIfNoDateFits()
    }

    /// - Parameters:
    ///   - date: a day in one of the months.
    ///   - weekday: 0 is Sunday.
    func fits(_ date: CalendarDate, weekday: Int) -> Bool {
        fits(day: date.day, weekday: weekday, last: CalendarDate.length(ofMonth: date.month, year: date.year))
    }

    private func fits(day: Int, weekday: Int, last: Int) -> Bool {
        let fitsMonth = fitsMonth(day, weekday, last)
        if fitsMonth != needsBothDays { return fitsMonth }
        return fitsWeek(day, weekday, last)
    }

    private func fitsMonth(_ day: Int, _ weekday: Int, _ last: Int) -> Bool {
        if daysOfMonth.contains(day) || daysOfMonth.hasLastDay && day == last { return true }
        guard daysOfMonth.hasLastWorkday, day >= last - 2, (1...5).contains(weekday) else { return false }
        // Any Monday to Friday that is the last day, or a Friday with nothing but the weekend after it.
        return day == last || weekday == 5
    }

    private func fitsWeek(_ day: Int, _ weekday: Int, _ last: Int) -> Bool {
        if daysOfWeek.contains(weekday) { return true }
        if daysOfWeek.ordinals == 0 { return false }
        if daysOfWeek.ordinals & CronValues.ordinal(weekday, (day + 6) / 7) != 0 { return true }
        return day + 7 > last && daysOfWeek.ordinals & CronValues.ordinal(weekday, CronValues.lastOrdinal) != 0
    }

    /// Looks at all there is: months of each of their lengths, beginning with each day of the week.
    private func refuseIfNoDateFits() throws(CronError) {
        for month in 1...12 where months >> UInt64(month) & 1 == 1 {
            for last in Set([2023, 2024].map { CalendarDate.length(ofMonth: month, year: $0) }) {
                for firstWeekday in 0...6 {
                    for day in 1...last where fits(day: day, weekday: (firstWeekday + day - 1) % 7, last: last) {
                        return
                    }
                }
            }
        }
        if daysOfWeek.numbers == 0x7F { throw CronError(.dayOfMonth, "no month of those named has such a day") }
        throw CronError("expression", "no date ever fits both its day of month and its day of week")
    }
}

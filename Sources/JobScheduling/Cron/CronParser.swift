/// What one field of a cron expression allows.
struct CronValues: Equatable, Sendable {
    /// Bit n is set when the number n is allowed.
    var numbers: UInt64 = 0
    /// `L` among the days of the month: the last one.
    var hasLastDay = false
    /// `LW`: the last Monday to Friday of the month.
    var hasLastWorkday = false
    /// `MON#2` and `5L` among the days of the week: bit `6 · weekday + n - 1` for the nth of the month, n = 6 the last.
    var ordinals: UInt64 = 0

    static let lastOrdinal = 6

    static func ordinal(_ weekday: Int, _ n: Int) -> UInt64 { 1 << UInt64(weekday % 7 * 6 + n - 1) }

    func contains(_ number: Int) -> Bool { numbers >> UInt64(number) & 1 == 1 }

    mutating func insert(_ number: Int) { numbers |= 1 << UInt64(number) }

    mutating func form(unionWith other: CronValues) {
        numbers |= other.numbers
        hasLastDay = hasLastDay || other.hasLastDay
        hasLastWorkday = hasLastWorkday || other.hasLastWorkday
        ordinals |= other.ordinals
    }
}

/// Reads one field: `*`, `5`, `MON`, `1-5`, each with a step (`*/15`, `10-30/5`, `5/10` = from 5 on), `L`, `LW`, `MON#2`,
/// `5L`, and lists of these.
struct CronParser {
    let field: CronField

    /// - Parameter text: the field in upper case.
    func values(_ text: Substring) throws(CronError) -> CronValues {
        var values = CronValues()
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !item.isEmpty else { throw CronError(field, "\"\(text)\" has an empty place in its list") }
            values.form(unionWith: try self.item(item))
        }
        return values
    }

    private func item(_ text: Substring) throws(CronError) -> CronValues {
        if field == .dayOfWeek, text.last == "L" {
            return try ordinal(text, weekday: text.dropLast(), CronValues.lastOrdinal)
        }
        if field == .dayOfWeek, let (weekday, nth) = halves(text, "#") {
            guard let n = digits(nth), (1...5).contains(n) else {
                throw CronError(field, "\"\(text)\": after # belongs a number from 1 to 5")
            }
            return try ordinal(text, weekday: weekday, n)
        }
        guard let (term, every) = halves(text, "/") else { return try self.term(text) }
        guard let step = digits(every), step > 0 else {
            throw CronError(field, "\"\(text)\": the step after / must be a number from 1 on")
        }
        return stepped(try self.term(term), by: step)
    }

    /// Every `step`th of the numbers; a single one counts as the begin of all from it on.
    private func stepped(_ all: CronValues, by step: Int) -> CronValues {
        // The last day is a single one: a step leaves it as it is.
        guard all.numbers != 0 else { return all }
        let first = all.numbers.trailingZeroBitCount
        let isSingle = all.numbers.nonzeroBitCount == 1
        let last = isSingle ? field.range.upperBound : 63 - all.numbers.leadingZeroBitCount
        var kept = CronValues()
        for number in stride(from: first, through: last, by: step) { kept.insert(number) }
        return kept
    }

    private func term(_ text: Substring) throws(CronError) -> CronValues {
        var values = CronValues()
        if text == "*" {
            for number in field.range { values.insert(number) }
        } else if let (from, to) = halves(text, "-") {
            let (first, last) = (try number(from, in: text), try number(to, in: text))
            guard first <= last else { throw CronError(field, "\"\(text)\" ends before it begins") }
            for number in first...last { values.insert(number) }
        } else if field == .dayOfMonth, text == "L" {
            values.hasLastDay = true
        } else if field == .dayOfMonth, text == "LW" {
            values.hasLastWorkday = true
        } else {
            values.insert(try number(text, in: text))
        }
        return values
    }

    private func ordinal(
        _ text: Substring, weekday: Substring, _ n: Int
    ) throws(CronError) -> CronValues {
        var values = CronValues()
        // `FRIL` is not taken, by nobody: the L stands after a digit.
        guard n != CronValues.lastOrdinal || digits(weekday) != nil else {
            throw CronError(field, "\"\(text)\": before L belongs a number from 0 to 7")
        }
        values.ordinals = CronValues.ordinal(try number(weekday, in: text), n)
        return values
    }

    private func number(_ text: Substring, in whole: Substring) throws(CronError) -> Int {
        let (first, names) = field.words
        if let index = names.firstIndex(where: { $0 == text }) { return first + index }
        if let number = digits(text) {
            guard field.range.contains(number) else {
                let (low, high) = (field.range.lowerBound, field.range.upperBound)
                throw CronError(field, "\(text) is not from \(low) to \(high)")
            }
            return number
        }
        if field == .dayOfMonth, text.last == "W" {
            throw CronError(field, "\"\(whole)\": W is known as LW only, the last Monday to Friday of the month")
        }
        throw CronError(field, "\"\(whole)\" is not understood")
    }

    /// Saturates: whoever asks compares with small bounds.
    private func digits(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return text.utf8.reduce(0) { min($0 * 10 + Int($1 - 0x30), 1_000_000) }
    }

    private func halves(_ text: Substring, _ separator: Character) -> (Substring, Substring)? {
        guard let at = text.firstIndex(of: separator) else { return nil }
        return (text[..<at], text[text.index(after: at)...])
    }
}

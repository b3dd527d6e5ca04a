/// A count per period: windows aligned to the epoch, or the periods of a calendar.
struct PeriodModel: StrategyModel {
    private var exists = false
    private var used = 0
    /// The period that was counted in.
    private var period = 0..<1
    private var nowUs = 0
    private var limit = 0

    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look {
        self.nowUs = nowUs
        let current = rule.period(at: nowUs)
        limit = rule.limit
        guard exists else {
            period = current
            return Look()
        }
        if period.lowerBound > nowUs + Self.toleranceUs {
            period = current
            return Look(clockReset: true, mustBeKept: true)
        }
        if period.upperBound <= nowUs {
            exists = false
            used = 0
            period = current
        }
        return Look()
    }

    func verdict(cost: Int) -> Verdict {
        if cost > limit { return .exceeds }
        return used + cost <= limit ? .allowed : .refused(retryUs: period.upperBound - nowUs)
    }

    mutating func consume(cost: Int, lease: String) {
        exists = true
        used += cost
    }

    var remaining: Int { max(0, limit - used) }
    var resetUs: Int { used > 0 ? period.upperBound - nowUs : 0 }
    var lifeMs: Int { resetUs.dividedUp(by: 1000) }

    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String {
        if let receiptUs, !period.contains(receiptUs) { return "void" }
        guard exists else { return "nothing" }
        used = max(0, used - amount)
        return "refunded"
    }
}

/// Calendar periods for ever in both directions; like months, no two neighbours need to be of one length.
struct UnevenPeriods: Equatable, Sendable {
    var lengthUs: Int
    /// Periods begin up to this much later than even ones.
    var unevennessUs = 0

    func start(_ number: Int) -> Int {
        number * lengthUs + (unevennessUs == 0 ? 0 : (number &* 7_919 % 101 + 101) % 101 * unevennessUs / 101)
    }

    /// The period that a moment lies in.
    func number(at time: Int) -> Int {
        let number = time / lengthUs
        return time < start(number) ? number - 1 : number
    }
}

extension ScriptRule {
    var limit: Int {
        switch self {
        case .tokenBucket(let limit, _, _, _), .slidingWindow(let limit, _), .slidingWindowCounter(let limit, _),
            .fixedWindow(let limit, _), .quota(let limit, _), .concurrency(let limit, _):
            limit
        }
    }

    /// The window or calendar period that a moment lies in.
    func period(at time: Int) -> Range<Int> {
        switch self {
        case .fixedWindow(_, let windowUs):
            let start = time / windowUs * windowUs
            return start..<start + windowUs
        case .quota(_, let periods):
            let number = periods.number(at: time)
            return periods.start(number)..<periods.start(number + 1)
        default: fatalError()
        }
    }
}

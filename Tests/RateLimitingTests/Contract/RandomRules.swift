import TestSupport

/// Random rules, costs and clocks that meet their edges often.
extension SeededRandom {
    static let strategyCount = 6

    /// A rule of the `kind`th strategy.
    mutating func rule(kind: Int) -> ScriptRule {
        let limit = pick([1, 2, 3, 5, 7, 10, 30])
        let windowUs = pick([1000, 7000, 333_000, 1_000_000, 2_500_000, 60_000_000, 86_400_000_000])
        switch kind {
        case 0:
            let burst = pick([1, limit, limit, 2 * limit, 50])
            let initial = oneIn(4) ? int(0...burst) : burst
            return .tokenBucket(limit: limit, windowUs: windowUs, burst: burst, initial: initial)
        case 1: return .slidingWindow(limit: limit, windowUs: windowUs)
        case 2: return .slidingWindowCounter(limit: limit, windowUs: windowUs)
        case 3: return .fixedWindow(limit: limit, windowUs: windowUs)
        case 4:
            let lengthUs = pick([2_000_000, 60_000_000, 86_400_000_000])
            return .quota(limit: limit, periods: UnevenPeriods(lengthUs: lengthUs, unevennessUs: int(0...lengthUs / 2)))
        default: return .concurrency(limit: limit, leaseUs: windowUs)
        }
    }

    /// The same rule with other numbers, as a change of limit or burst makes it.
    mutating func changed(_ rule: ScriptRule) -> ScriptRule {
        let limit = pick([1, 2, 3, 4, 6, 7, 10, 12, 30])
        switch rule {
        case .tokenBucket(_, let windowUs, _, _):
            let burst = pick([1, limit, 3 * limit])
            return .tokenBucket(limit: limit, windowUs: windowUs, burst: burst, initial: burst)
        case .slidingWindow(_, let windowUs): return .slidingWindow(limit: limit, windowUs: windowUs)
        case .slidingWindowCounter(_, let windowUs): return .slidingWindowCounter(limit: limit, windowUs: windowUs)
        case .fixedWindow(_, let windowUs): return .fixedWindow(limit: limit, windowUs: windowUs)
        case .quota(_, let periods): return .quota(limit: limit, periods: periods)
        case .concurrency(_, let leaseUs): return .concurrency(limit: limit, leaseUs: leaseUs)
        }
    }

    mutating func costs(_ rule: ScriptRule) -> [Int] {
        let most = max(1, rule.limit)
        return (0..<pick([1, 1, 1, 2, 4])).map { _ in oneIn(12) ? most + int(0...2) : oneIn(3) ? int(1...most) : 1 }
    }

    /// The next reading of a clock: often the same, often a little later, sometimes where something ends, seldom
    /// earlier by less or more than a second.
    mutating func clock(after now: Int, _ rule: ScriptRule, hints: [Int]) -> Int {
        let scale = rule.scaleUs
        switch int(0...19) {
        case 0...3: return now
        case 4...8: return now + int(1...max(2, scale / 4))
        case 9...11: return now + int(1...2 * scale)
        case 12: return now + 3 * scale
        case 13...16:
            // Where the last refusal said that it ends, or one µs or ms around it.
            guard let hint = hints.last, hint > 0 else { return now + 1 }
            return now + max(0, hint + pick([0, 0, -1, 1, -1000]))
        case 17, 18: return now - int(1...1_000_000)
        default: return now - int(1_000_001...10_000_000)
        }
    }
}

extension ScriptRule {
    /// The time in which things happen under the rule.
    var scaleUs: Int {
        switch self {
        case .tokenBucket(_, let windowUs, _, _), .slidingWindow(_, let windowUs),
            .slidingWindowCounter(_, let windowUs), .fixedWindow(_, let windowUs):
            windowUs
        case .quota(_, let periods): periods.lengthUs
        case .concurrency(_, let leaseUs): leaseUs
        }
    }
}

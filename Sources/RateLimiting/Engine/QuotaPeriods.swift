import EventLoops
import TimeZones

/// The calendar periods that calls to quota rules carry, worked out once per period and zone.
///
/// Redis's clock decides which of the periods it is; ours, or what Redis last said, only chooses which ones to send.
struct QuotaPeriods {
    private struct Key: Hashable {
        let period: Period
        let zone: String
    }

    private var known: [Key: [Int64]] = [:]
    private var offsetUs: Int64 = 0

    /// Learns how far Redis's clock is from ours, after it said that none of the periods fitted.
    mutating func learn(nowUs: Int64) {
        offsetUs = nowUs - WallClock.nowUs()
        known.removeAll()
    }

    /// Gives a call the periods around the moment it is decided at.
    mutating func fill(_ batch: CheckBatch) {
        batch.periods = around(batch.policies, givenNowUs: batch.givenNowUs)
    }

    /// The periods of each quota rule, by the rule's index.
    mutating func around(_ policies: PolicySet, givenNowUs: Int? = nil) -> [Int32: [Int64]] {
        var periods: [Int32: [Int64]] = [:]
        for rule in policies.rules {
            guard case .quota(_, let period, let name)? = rule.strategy, let zone = rule.zone else { continue }
            periods[rule.index] = starts(
                period, name, zone, aroundUs: givenNowUs.map { Int64($0) } ?? WallClock.nowUs() + offsetUs,
                isGiven: givenNowUs != nil)
        }
        return periods
    }

    private mutating func starts(
        _ period: Period, _ name: String, _ zone: Zone, aroundUs: Int64, isGiven: Bool
    ) -> [Int64] {
        let key = Key(period: period, zone: name)
        if !isGiven, let held = known[key], aroundUs >= held[1], aroundUs < held[2] { return held }
        let starts = zone.starts(of: period.unit, around: aroundUs)
        if !isGiven { known[key] = starts }
        return starts
    }
}

extension Period {
    var unit: Zone.Unit {
        switch self {
        case .hour: .hour
        case .day: .day
        case .week: .week
        case .month: .month
        case .year: .year
        }
    }
}

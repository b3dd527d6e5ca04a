/// A rule as the scripts are told it, in µs.
enum ScriptRule: Equatable, Sendable {
    case tokenBucket(limit: Int, windowUs: Int, burst: Int, initial: Int)
    case slidingWindow(limit: Int, windowUs: Int)
    case slidingWindowCounter(limit: Int, windowUs: Int)
    case fixedWindow(limit: Int, windowUs: Int)
    case quota(limit: Int, periods: UnevenPeriods)
    case concurrency(limit: Int, leaseUs: Int)
}

enum Verdict: Equatable {
    case allowed
    case refused(retryUs: Int)
    case exceeds
}

/// What one key says under a strategy, by the rules in words: plain values, exact integers, nothing of the scripts.
///
/// A model is a value: a look at it that is not to be kept is made on a copy.
protocol StrategyModel {
    /// Puts the state at the moment of a call, under the rule as it is then.
    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look

    func verdict(cost: Int) -> Verdict
    mutating func consume(cost: Int, lease: String)

    /// What could still be consumed now.
    var remaining: Int { get }
    /// Time until the state says nothing.
    var resetUs: Int { get }
    /// How long the key must be kept, ms; 0 when there is none or it says nothing.
    var lifeMs: Int { get }

    /// Gives back `amount`, or as much of it as was consumed; the answer is the script's word.
    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String
}

/// What became of a state by looking at it.
struct Look {
    /// It lay more than a second ahead of the clock, and its time was set.
    var clockReset = false
    /// It must be kept even if nothing is consumed.
    var mustBeKept = false
}

extension StrategyModel {
    /// A clock may be this much behind a state without anything being wrong.
    static var toleranceUs: Int { 1_000_000 }
}

/// The model of a key that holds nothing.
func emptyModel(_ rule: ScriptRule) -> any StrategyModel {
    switch rule {
    case .tokenBucket: TokenBucketModel()
    case .slidingWindow: SlidingLogModel()
    case .slidingWindowCounter: SlidingCounterModel()
    case .fixedWindow, .quota: PeriodModel()
    case .concurrency: LeaseModel()
    }
}

extension BinaryInteger {
    func dividedUp(by divisor: Self) -> Self { (self + divisor - 1) / divisor }
}

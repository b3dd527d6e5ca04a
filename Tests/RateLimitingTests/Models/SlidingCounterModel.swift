/// Two counters: the window the clock is in, and the one before, which counts by the part that still covers.
struct SlidingCounterModel: StrategyModel {
    private var exists = false
    private var previous = 0
    private var current = 0
    /// The state's own time.
    private var atUs = 0
    private var nowUs = 0
    private var limit = 0
    private var windowUs = 1

    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look {
        guard case .slidingWindowCounter(let limit, let windowUs) = rule else { fatalError() }
        self.nowUs = nowUs
        self.limit = limit
        self.windowUs = windowUs
        guard exists else {
            atUs = nowUs
            return Look()
        }
        if atUs > nowUs + Self.toleranceUs {
            // Everything that counted then counts as made now, a fraction as a whole.
            current = weight(cost: 0).dividedUp(by: windowUs)
            previous = 0
            atUs = nowUs
            return Look(clockReset: true, mustBeKept: true)
        }
        roll(to: max(atUs, nowUs))
        return Look()
    }

    private mutating func roll(to time: Int) {
        let windows = time / windowUs - atUs / windowUs
        if windows > 0 { (previous, current) = (windows == 1 ? current : 0, 0) }
        if windows > 1 { exists = false }
        atUs = time
    }

    /// What the counts and `cost` weigh, in units times µs.
    private func weight(cost: Int) -> Int {
        previous * (windowUs - atUs % windowUs) + (current + cost) * windowUs
    }

    private func admits(_ cost: Int, at time: Int) -> Bool {
        var then = self
        then.roll(to: time)
        return then.weight(cost: cost) <= limit * windowUs
    }

    func verdict(cost: Int) -> Verdict {
        if cost > limit { return .exceeds }
        if admits(cost, at: atUs) { return .allowed }
        // The first moment that admits it when nobody else comes: the weight only falls.
        var (no, yes) = (atUs, (atUs / windowUs + 2) * windowUs)
        while yes - no > 1 {
            let middle = (no + yes) / 2
            if admits(cost, at: middle) { yes = middle } else { no = middle }
        }
        return .refused(retryUs: yes - nowUs)
    }

    mutating func consume(cost: Int, lease: String) {
        exists = true
        current += cost
    }

    var remaining: Int { max(0, limit * windowUs - weight(cost: 0)) / windowUs }

    var resetUs: Int {
        let start = atUs / windowUs * windowUs
        return current > 0 ? start + 2 * windowUs - nowUs : previous > 0 ? start + windowUs - nowUs : 0
    }

    var lifeMs: Int { resetUs.dividedUp(by: 1000) }

    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String {
        let age = receiptUs.map { atUs / windowUs - $0 / windowUs } ?? 0
        guard age == 0 || age == 1 else { return "void" }
        guard exists else { return "nothing" }
        if age == 0 { current = max(0, current - amount) } else { previous = max(0, previous - amount) }
        return "refunded"
    }
}

/// A bucket, by what is missing from it, in parts of a token: a token has as many parts as the window has µs, so that
/// `limit` parts come back in each of them.
struct TokenBucketModel: StrategyModel {
    private var exists = false
    private var missing: Int128 = 0
    private var atUs = 0
    private var nowUs = 0
    private var limit: Int128 = 1
    private var tokenParts: Int128 = 1
    private var burst: Int128 = 1
    private var initial: Int128 = 1

    mutating func look(_ rule: ScriptRule, nowUs: Int) -> Look {
        guard case .tokenBucket(let limit, let windowUs, let burst, let initial) = rule else { fatalError() }
        self.nowUs = nowUs
        self.limit = Int128(limit)
        self.burst = Int128(burst)
        self.initial = Int128(initial)
        tokenParts = Int128(windowUs)
        guard exists else {
            atUs = nowUs
            missing = (self.burst - self.initial) * tokenParts
            return Look(mustBeKept: initial < burst)
        }
        // A script counts in the largest parts that a µs brings back a whole number of; what another limit left is
        // rounded up to them.
        let step = TokenBucketModel.divisor(self.limit, tokenParts)
        missing = missing.dividedUp(by: step) * step
        if atUs > nowUs + Self.toleranceUs {
            atUs = nowUs
            return Look(clockReset: true, mustBeKept: true)
        }
        if nowUs > atUs {
            missing = max(0, missing - self.limit * Int128(nowUs - atUs))
            atUs = nowUs
        }
        return Look()
    }

    func verdict(cost: Int) -> Verdict {
        if cost > burst { return .exceeds }
        let lacking = missing + Int128(cost) * tokenParts - burst * tokenParts
        return lacking <= 0 ? .allowed : .refused(retryUs: Int(lacking.dividedUp(by: limit)) + atUs - nowUs)
    }

    mutating func consume(cost: Int, lease: String) { missing += Int128(cost) * tokenParts }

    var remaining: Int { Int(max(0, burst * tokenParts - missing) / tokenParts) }

    var resetUs: Int { missing > 0 ? Int(missing.dividedUp(by: limit)) + atUs - nowUs : 0 }

    var lifeMs: Int {
        guard exists else { return 0 }
        // A new key would begin at `initial`: this one is kept for a day after it is full.
        return resetUs.dividedUp(by: 1000) + (initial < burst ? 86_400_000 : 0)
    }

    mutating func giveBack(_ amount: Int, receiptUs: Int?) -> String {
        var back = Int128(amount) * tokenParts
        if let receiptUs {
            // What was consumed then has drained since, or what was consumed before it.
            back -= limit * Int128(atUs - receiptUs)
            guard receiptUs <= atUs, back > 0 else { return "void" }
        }
        guard exists else { return "nothing" }
        missing = max(0, missing - back)
        return "refunded"
    }

    /// The state is kept from now on.
    mutating func keep() { exists = true }

    private static func divisor(_ a: Int128, _ b: Int128) -> Int128 { b == 0 ? a : divisor(b, a % b) }
}

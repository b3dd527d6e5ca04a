import Redis
import TestSupport

@testable import RateLimiting

extension ScriptRule {
    var name: StrategyName {
        switch self {
        case .tokenBucket: .tokenBucket
        case .slidingWindow: .slidingWindow
        case .slidingWindowCounter: .slidingWindowCounter
        case .fixedWindow: .fixedWindow
        case .quota: .quota
        case .concurrency: .concurrency
        }
    }

    /// The parameters as the strategy's file lists them.
    func parameters(callerUs: Int, prefix: String) -> [String] {
        switch self {
        case .tokenBucket(let limit, let windowUs, let burst, let initial):
            var (a, b) = (limit, windowUs)
            while b != 0 { (a, b) = (b, a % b) }
            return [limit / a, windowUs / a, burst, initial].map(String.init)
        case .slidingWindow(let limit, let windowUs), .slidingWindowCounter(let limit, let windowUs),
            .fixedWindow(let limit, let windowUs):
            return [limit, windowUs].map(String.init)
        case .quota(let limit, _): return ([limit] + periods(callerUs: callerUs)).map(String.init)
        case .concurrency(let limit, let leaseUs): return [String(limit), String(leaseUs), prefix]
        }
    }
}

extension CheckCall {
    /// The call as its script takes it, with the given clock and the keys' lives asked for.
    var step: RedisStep { step(clock: String(nowUs), flags: isPeek ? "peek,ttl" : "ttl") }

    /// - Parameter clock: empty for Redis's own.
    func step(clock: String, flags: String) -> RedisStep {
        let isSingle = rules.count == 1 && !usesComposed
        var words = [clock, flags]
        if !isSingle { words += [String(enforcing), String(rules.count)] }
        for rule in rules {
            if !isSingle { words.append(rule.name.rawValue) }
            words += rule.parameters(callerUs: callerUs ?? nowUs, prefix: prefix)
        }
        // What the service leaves out, too.
        if !subjects.allSatisfy({ $0.costs == [1] }) {
            for subject in subjects { words += [String(subject.costs.count)] + subject.costs.map(String.init) }
        }
        let script = isSingle ? RateLimitScripts.single[rules[0].name]! : RateLimitScripts.composed
        return RedisStep(script: script, keys: subjects.flatMap(\.keys), words: words)
    }
}

extension RedisStep {
    static func refund(_ rule: ScriptRule, _ key: String, nowUs: Int, amount: Int, receiptUs: Int?) -> RedisStep {
        RedisStep(
            script: RateLimitScripts.refund, keys: [key],
            words: [String(nowUs), String(amount), receiptUs.map(String.init) ?? "", "", "", rule.name.rawValue]
                + rule.parameters(callerUs: nowUs, prefix: ""))
    }

    static func renew(_ key: String, _ lease: String, nowUs: Int, termUs: Int) -> RedisStep {
        RedisStep(script: RateLimitScripts.leaseRenew, keys: [key], words: [String(nowUs), lease, String(termUs)])
    }

    static func release(_ key: String, _ lease: String, nowUs: Int) -> RedisStep {
        RedisStep(script: RateLimitScripts.leaseRelease, keys: [key], words: [String(nowUs), lease])
    }
}

extension CheckReply {
    /// Reads a script's reply.
    /// - Parameter hasLives: whether the call asked for the keys' lives.
    init(_ reply: RedisReply, _ call: CheckCall, hasLives: Bool = true) throws {
        guard case .array(let parts) = reply, let nowUs = parts.first?.int else {
            throw SetUpFailure("a check answered \(reply)")
        }
        if parts.count == 2, parts[1].string == "stale" {
            self.init(isStale: true)
            return
        }
        self.init()
        let decisions = call.rules.count * call.subjects.reduce(0) { $0 + $1.costs.count }
        let lifeCount = hasLives ? call.subjects.count * call.rules.count : 0
        guard parts.count >= 1 + 4 * decisions + lifeCount, nowUs > 0 else {
            throw SetUpFailure("a check answered \(reply)")
        }
        for i in 0..<decisions {
            let numbers = parts[2 + 4 * i...4 + 4 * i].compactMap(\.int)
            guard let word = parts[1 + 4 * i].string, numbers.count == 3 else {
                throw SetUpFailure("a check answered \(reply)")
            }
            outcomes.append(
                ScriptOutcome(word: word, remaining: numbers[0], resetUs: numbers[1], retryUs: numbers[2]))
        }
        lives = parts[(1 + 4 * decisions)..<(1 + 4 * decisions + lifeCount)].compactMap(\.int)
        clockResets = parts.dropFirst(1 + 4 * decisions + lifeCount).count { $0.string == "clock-reset" }
    }
}

import TestSupport
import Testing

@testable import RateLimiting

/// Giving back by receipt never lets more be used than the limit: what was admitted and not given back obeys it.
@Suite struct KeptReceiptTests {
    private struct Admission {
        let atUs: Int
        let cost: Int
    }

    /// Ten are refused elsewhere and given back 10 ms late, when others have used what came back meanwhile.
    @Test func whatHasDrainedIsNotGivenBack() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{all}"
        let rule = ScriptRule.tokenBucket(limit: 1000, windowUs: 1_000_000, burst: 10, initial: 10)
        let base = ExactNumberTests.base
        #expect(try await redis.check(rule, key, nowUs: base, cost: 10).word == "allowed")
        #expect(try await redis.check(rule, key, nowUs: base + 10_000, cost: 10).word == "allowed")
        for _ in 0..<10 {
            let refund = try await redis.refund(rule, key, nowUs: base + 10_000, amount: 1, receiptUs: base)
            #expect(refund.word == "void" && refund.remaining == 0)
        }
        #expect(try await redis.check(rule, key, nowUs: base + 10_000).retryUs == 1000)
        // Half of it has drained: the other half can be given back.
        let half = try await redis.refund(rule, key, nowUs: base + 15_000, amount: 10, receiptUs: base + 10_000)
        #expect(half.word == "refunded" && half.remaining == 10)
        let forged = try await redis.refund(rule, key, nowUs: base + 15_000, amount: 1, receiptUs: base + 15_001)
        #expect(forged.word == "void")
    }

    @Test(arguments: 0..<SeededRandom.strategyCount - 1)
    func whatIsKeptObeysTheLimit(kind: Int) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        var random = SeededRandom()
        var givenBack = 0
        for number in 0..<30 {
            let key = "\(prefix){\(number)}"
            var rule = random.rule(kind: kind)
            // One that begins empty says nothing else about receipts.
            if case .tokenBucket(let limit, let windowUs, let burst, _) = rule {
                rule = .tokenBucket(limit: limit, windowUs: windowUs, burst: burst, initial: burst)
            }
            var now = ExactNumberTests.base + random.int(0...rule.scaleUs)
            var kept: [Admission] = []
            for _ in 0..<40 {
                now += random.pick([0, 1, rule.scaleUs / 8, random.int(0...rule.scaleUs)])
                if random.oneIn(3), !kept.isEmpty {
                    let place = random.int(max(0, kept.count - 3)...kept.count - 1)
                    let one = kept[place]
                    let refund = try await redis.refund(rule, key, nowUs: now, amount: one.cost, receiptUs: one.atUs)
                    guard refund.word == "refunded" else { continue }
                    kept.remove(at: place)
                    givenBack += 1
                } else {
                    let cost = random.int(1...max(1, rule.limit))
                    let outcome = try await redis.check(rule, key, nowUs: now, cost: cost)
                    if outcome.word == "allowed" { kept.append(Admission(atUs: now, cost: cost)) }
                }
            }
            try #require(obeys(rule, kept), "QM_SEED=\(random.seed), key \(number): \(rule) \(kept)")
        }
        #expect(givenBack > 50)
    }

    /// Whether no stretch of time holds more than the rule admits in it.
    private func obeys(_ rule: ScriptRule, _ kept: [Admission]) -> Bool {
        for first in kept.indices {
            var used = 0
            for admission in kept[first...] {
                used += admission.cost
                switch rule {
                case .tokenBucket(let limit, let windowUs, let burst, _):
                    if used * windowUs > burst * windowUs + limit * (admission.atUs - kept[first].atUs) { return false }
                case .slidingWindow(let limit, let windowUs):
                    if admission.atUs < kept[first].atUs + windowUs, used > limit { return false }
                case .slidingWindowCounter(let limit, let windowUs):
                    if admission.atUs / windowUs == kept[first].atUs / windowUs, used > limit { return false }
                case .fixedWindow(let limit, _), .quota(let limit, _):
                    if rule.period(at: kept[first].atUs).contains(admission.atUs), used > limit { return false }
                case .concurrency: break
                }
            }
        }
        return true
    }
}

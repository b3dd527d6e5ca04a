import Redis
import TestSupport
import Testing

@testable import RateLimiting

/// A key whose end suffices is written without setting it anew. By Redis's own clock: only there ends are left alone.
@Suite struct KeptEndTests {
    private let windowUs = 3_600_000_000

    private func rule(_ kind: Int, _ random: inout SeededRandom) -> ScriptRule {
        // 77 and 301 have a bucket count in the same units, though they come back at another rate.
        let limit = random.pick([77, 301, 60, 300])
        guard kind == 0 else { return AllStrategies.rules(limit: limit, windowUs: windowUs)[kind] }
        let burst = random.pick([limit, limit, 3 * limit])
        let initial = random.oneIn(5) ? random.int(0...burst) : burst
        return .tokenBucket(limit: limit, windowUs: windowUs, burst: burst, initial: initial)
    }

    private func check(_ rule: ScriptRule, _ key: String, cost: Int, callerUs: Int) -> RedisStep {
        var call = CheckCall(rule, key, nowUs: callerUs, costs: [cost])
        call.callerUs = callerUs
        return call.step(clock: "", flags: "")
    }

    private func refund(_ rule: ScriptRule, _ key: String, amount: Int, callerUs: Int) -> RedisStep {
        var step = RedisStep.refund(rule, key, nowUs: callerUs, amount: amount, receiptUs: nil)
        step.words[0] = ""
        return step
    }

    private func now(_ redis: ScriptRedis) async throws -> Int {
        guard let time = try await redis.run(.command("TIME")).strings, let s = Int(time[0]), let us = Int(time[1])
        else { throw SetUpFailure("TIME") }
        return s * 1_000_000 + us
    }

    /// Whatever is consumed and given back under whatever limits: the key lives as long as its state says something.
    @Test(arguments: 0..<SeededRandom.strategyCount)
    func anEndThatIsLeftAloneSuffices(kind: Int) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        var random = SeededRandom()
        for i in 0..<12 {
            let key = "\(prefix){\(i)}"
            var rule = rule(kind, &random)
            // A changed limit counts for the end from the next writing on.
            var isWritten = false
            for step in 0..<60 {
                if random.oneIn(10) {
                    rule = self.rule(kind, &random)
                    isWritten = false
                }
                let callerUs = try await now(redis)
                let change =
                    random.oneIn(6)
                    ? refund(rule, key, amount: random.pick([1, 3, 1000]), callerUs: callerUs)
                    : check(rule, key, cost: random.pick([1, 1, 1, 2, 15]), callerUs: callerUs)
                var look = CheckCall(rule, key, nowUs: callerUs, costs: [1])
                look.callerUs = callerUs
                let replies = try await redis.run([
                    change, look.step(clock: "", flags: "peek,ttl"), .command("PTTL", key), .command("TIME"),
                ])
                if case .array(let parts) = replies[0],
                    parts.contains(where: { ["allowed", "refunded"].contains($0.string) })
                {
                    isWritten = true
                }
                let lifeMs = try CheckReply(replies[1], look).lives[0]
                guard isWritten, lifeMs > 0 else { continue }
                // One for the part of a millisecond that has passed, one for Redis, whose ends are whole milliseconds.
                let passedMs = (try await now(redis) - callerUs) / 1000 + 2
                try #require(
                    replies[2].int! >= lifeMs - passedMs, "QM_SEED=\(random.seed), key \(i), step \(step): \(rule)")
            }
        }
    }

    /// In steady use the end stays where it is, but for a step now and then.
    @Test func theEndIsLeftAlone() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 1000, windowUs: windowUs) {
            let keptCount =
                switch rule.name {
                case .tokenBucket: 18
                case .fixedWindow, .quota, .slidingWindowCounter: 20
                case .slidingWindow, .concurrency: 0
                }
            let key = "\(prefix){\(rule.name)}"
            let callerUs = try await now(redis)
            _ = try await redis.run(check(rule, key, cost: 800, callerUs: callerUs))
            var kept = 0
            var endMs = try await redis.number("PEXPIRETIME", key)
            for _ in 0..<20 {
                _ = try await redis.run(check(rule, key, cost: 1, callerUs: callerUs))
                let laterMs = try await redis.number("PEXPIRETIME", key)
                if laterMs == endMs { kept += 1 }
                endMs = laterMs
            }
            // A window may end, too, while this runs.
            #expect(kept >= keptCount - 1, "\(rule)")
        }
    }
}

import Redis
import TestSupport
import Testing

@testable import RateLimiting

/// No key goes before its state says nothing: what the scripts report, and what Redis does by its own clock.
@Suite struct LifeTests {
    private func now(_ redis: ScriptRedis) async throws -> Int {
        guard let time = try await redis.run(.command("TIME")).strings, let s = Int(time[0]), let us = Int(time[1])
        else { throw SetUpFailure("TIME") }
        return s * 1_000_000 + us
    }

    /// A call by Redis's own clock.
    private func live(_ rule: ScriptRule, _ key: String, _ costs: [Int], callerUs: Int) -> (CheckCall, RedisStep) {
        var call = CheckCall(rule, key, nowUs: callerUs, costs: costs)
        call.callerUs = callerUs
        return (call, call.step(clock: "", flags: "ttl"))
    }

    @Test func expiryByRedisOwnClock() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 10, windowUs: 3_600_000_000) {
            let key = "\(prefix){\(rule.name)}"
            for costs in [[1], [3, 2], [4, 4]] {
                let callerUs = try await now(redis)
                let (call, step) = live(rule, key, costs, callerUs: callerUs)
                let replies = try await redis.run([step, .command("PTTL", key), .command("TIME")])
                let reply = try CheckReply(replies[0], call)
                let outcome = reply.outcomes.last!
                let passedMs = (try await now(redis) - callerUs) / 1000 + 1
                // The last cost of the last call may be refused: what is kept is what was consumed before.
                #expect(reply.lives[0] * 1000 >= outcome.resetUs, "\(rule)")
                #expect(reply.lives[0] * 1000 < outcome.resetUs + 1000, "\(rule)")
                #expect(replies[1].int! <= LifeTests.longestMs(rule, reply.lives[0]) + passedMs, "\(rule)")
                #expect(replies[1].int! >= reply.lives[0] - passedMs, "\(rule)")
            }
        }
    }

    /// The bucket of 100 at one per second, drained: Redis keeps it until it is full again.
    @Test func aDrainedBucketIsKept() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:slow"
        let rule = ScriptRule.tokenBucket(limit: 1, windowUs: 1_000_000, burst: 100, initial: 100)
        let (_, step) = live(rule, key, [100], callerUs: 0)
        let replies = try await redis.run([step, .command("PTTL", key)])
        #expect((99_500...125_000).contains(replies[1].int!))
    }

    /// How long a key may be kept whose state says something for `lifeMs`: a bucket's up to a quarter longer.
    private static func longestMs(_ rule: ScriptRule, _ lifeMs: Int) -> Int {
        rule.name == .tokenBucket ? lifeMs + lifeMs / 4 + 1 : lifeMs
    }

    /// Keys of short windows, watched until Redis drops them: not before the time that the answer named.
    @Test func droppedOnlyWhenItSaysNothing() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        // Three of a quota's periods must cover more than the second by which a clock may be behind.
        let rules = AllStrategies.rules(limit: 7, windowUs: 150_000).map { (rule: ScriptRule) -> ScriptRule in
            guard case .quota = rule else { return rule }
            return .quota(limit: 7, periods: UnevenPeriods(lengthUs: 1_500_000))
        }
        var ends: [String: Int] = [:]
        for rule in rules {
            let callerUs = try await now(redis)
            let key = "\(prefix){\(rule.name)}"
            let (call, step) = live(rule, key, [3, 2], callerUs: callerUs)
            let reply = try await redis.run(step)
            guard case .array(let parts) = reply, let decidedUs = parts[0].int else { throw SetUpFailure("\(reply)") }
            let outcome = try CheckReply(reply, call).outcomes[1]
            #expect(outcome.word == "allowed" && outcome.resetUs > 0)
            ends[key] = decidedUs + outcome.resetUs
        }
        let allGone = try await eventually {
            for (key, endUs) in ends {
                guard try await redis.number("EXISTS", key) == 0 else { continue }
                #expect(try await now(redis) >= endUs, "\(key)")
                ends[key] = nil
            }
            return ends.isEmpty
        }
        #expect(allGone)
    }

    /// Dropping a key when its reported life is over changes no answer.
    @Test(arguments: 0..<SeededRandom.strategyCount)
    func afterItsLifeAStateSaysNothing(kind: Int) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        var random = SeededRandom()
        var schedule = Schedule()
        for i in 0..<150 {
            let rule = random.rule(kind: kind)
            // Absence means `initial`, whose key is kept for a day beyond this.
            if case .tokenBucket(_, _, let burst, let initial) = rule, initial < burst { continue }
            let now = ExactNumberTests.base + random.int(0...1_000_000_000)
            let reply = schedule.check(CheckCall(rule, "\(prefix){\(i)}", nowUs: now, costs: random.costs(rule)))
            let later = now + reply.lives[0] * 1000
            let costs = random.costs(rule)
            let kept = schedule.check(CheckCall(rule, "\(prefix){\(i)}", nowUs: later, costs: costs))
            let dropped = schedule.check(CheckCall(rule, "\(prefix){\(i)}'", nowUs: later, costs: costs))
            #expect(kept == dropped, "QM_SEED=\(random.seed)")
        }
        try await schedule.run(on: redis, seed: random.seed)
    }
}

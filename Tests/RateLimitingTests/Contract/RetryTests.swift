import TestSupport
import Testing

@testable import RateLimiting

/// A refusal's wait is true: refused 1 µs and 1 ms before it is over, allowed then if nobody else came.
@Suite struct RetryTests {
    @Test(arguments: 0..<SeededRandom.strategyCount)
    func retryIsTrue(kind: Int) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        var random = SeededRandom()
        var calls: [CheckCall] = []
        for i in 0..<300 {
            var now = ExactNumberTests.base + random.int(0...1_000_000_000_000)
            let rule = random.rule(kind: kind)
            for _ in 0..<8 {
                let cost = random.oneIn(3) ? random.int(1...rule.limit) : 1
                calls.append(CheckCall(rule, "\(prefix){\(i)}", nowUs: now, costs: [cost]))
                now += random.oneIn(2) ? 0 : random.int(0...rule.scaleUs / 3)
                // A clock that is a little behind the key's.
                if random.oneIn(6) { now -= random.int(0...900_000) }
            }
        }
        // The last check of each key, when it was refused, is what is tried again.
        let replies = try await redis.check(calls)
        var trials: [CheckCall] = []
        var expected: [String] = []
        for i in stride(from: 7, to: calls.count, by: 8) where replies[i].outcomes[0].word == "refused" {
            let retryUs = replies[i].outcomes[0].retryUs
            #expect(retryUs > 0)
            for earlyUs in [1000, 1, 0] where earlyUs < retryUs {
                var trial = calls[i]
                trial.nowUs += retryUs - earlyUs
                trials.append(trial)
                expected.append(earlyUs == 0 ? "allowed" : "refused")
            }
        }
        #expect(trials.count > 100)
        let words = try await redis.check(trials).map { $0.words[0] }
        let difference = zip(words, expected).enumerated().first { $1.0 != $1.1 }
        #expect(difference == nil, "QM_SEED=\(random.seed)")
    }

    /// A cost that no state would allow is refused for good, and nothing is consumed.
    @Test func costAboveCapacity() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 7, windowUs: 60_000_000) {
            let key = "\(prefix){\(rule.name)}"
            let call = CheckCall(rule, key, nowUs: ExactNumberTests.base, costs: [8, 1_000_000])
            let reply = try await redis.check(call)
            #expect(reply.words == ["exceeds", "exceeds"], "\(rule)")
            #expect(reply.outcomes.allSatisfy { $0.retryUs == 0 && $0.remaining == 7 }, "\(rule)")
            #expect(try await redis.number("EXISTS", key) == 0, "\(rule)")
        }
    }

    @Test func aPeekConsumesAndWritesNothing() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let base = ExactNumberTests.base
        for rule in AllStrategies.rules(limit: 7, windowUs: 60_000_000) {
            let key = "\(prefix){\(rule.name)}"
            let unknown = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [1, 7], isPeek: true))
            #expect(unknown.words == ["allowed", "allowed"])
            #expect(unknown.outcomes.map(\.remaining) == [7, 7])
            #expect(unknown.lives == [0])
            #expect(try await redis.number("EXISTS", key) == 0)

            _ = try await redis.check(rule, key, nowUs: base, cost: 4)
            let before = try await redis.text("DUMP", key)
            // Also when the clock has jumped, which a check would write down.
            for now in [base, base + 1_000_000, base - 3_000_000, base - 900_000] {
                let peeked = try await redis.check(rule, key, nowUs: now, cost: 4, isPeek: true)
                #expect(peeked.word == "refused", "\(rule)")
            }
            #expect(try await redis.text("DUMP", key) == before, "\(rule)")
        }
    }

    /// A bucket that begins below its capacity begins with the first request, also with one that it refuses.
    @Test(arguments: [false, true])
    func aBucketThatBeginsEmpty(isComposed: Bool) async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:initial"
        let rule = ScriptRule.tokenBucket(limit: 5, windowUs: 1_000_000, burst: 10, initial: 0)
        let base = ExactNumberTests.base
        var call = CheckCall(rule, key, nowUs: base, costs: [1], isPeek: true)
        call.usesComposed = isComposed
        #expect(try await redis.check(call).words == ["refused"])
        #expect(try await redis.number("EXISTS", key) == 0)
        call.isPeek = false
        let first = try await redis.check(call)
        let empty = ScriptOutcome(word: "refused", remaining: 0, resetUs: 2_000_000, retryUs: 200_000)
        #expect(first.outcomes == [empty])
        // Absence would mean empty again, so the key stays for a day after it is full.
        #expect(first.lives == [86_402_000])
        call.nowUs += 199_999
        #expect(try await redis.check(call).words == ["refused"])
        call.nowUs += 1
        #expect(try await redis.check(call).words == ["allowed"])
        call.nowUs += 10_000_000
        call.subjects[0].costs = [10, 1]
        #expect(try await redis.check(call).words == ["allowed", "refused"])
    }

    @Test func anInitialAmountBelowBurst() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:initial"
        let rule = ScriptRule.tokenBucket(limit: 5, windowUs: 1_000_000, burst: 10, initial: 3)
        let reply = try await redis.check(
            CheckCall(rule, key, nowUs: ExactNumberTests.base, costs: [1, 1, 1, 1]))
        #expect(reply.words == ["allowed", "allowed", "allowed", "refused"])
        #expect(reply.outcomes.map(\.remaining) == [2, 1, 0, 0])
    }
}

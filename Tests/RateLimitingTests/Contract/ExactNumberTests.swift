import TestSupport
import Testing

@testable import RateLimiting

/// Numbers anybody can check by hand, through the scripts with a given clock.
@Suite struct ExactNumberTests {
    /// A full minute.
    static let base = 1_699_999_980_000_000
    private let base = ExactNumberTests.base

    private func bucket(_ limit: Int, burst: Int, initial: Int? = nil) -> ScriptRule {
        .tokenBucket(limit: limit, windowUs: 1_000_000, burst: burst, initial: initial ?? burst)
    }

    @Test func bucketOfTenAtFivePerSecond() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:bucket"
        let rule = bucket(5, burst: 10)
        let first = try await redis.check(
            CheckCall(rule, key, nowUs: base, costs: Array(repeating: 1, count: 11)))
        #expect(first.words == Array(repeating: "allowed", count: 10) + ["refused"])
        #expect(first.outcomes.map(\.remaining) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
        #expect(first.outcomes[10].retryUs == 200_000)
        #expect(try await redis.check(rule, key, nowUs: base + 199_999).word == "refused")
        #expect(try await redis.check(rule, key, nowUs: base + 200_000).word == "allowed")
        #expect(try await redis.check(rule, key, nowUs: base + 200_000).word == "refused")
        // A person reads the value.
        #expect(try await redis.text("GET", key) == "used=2000000/200000+1 at=\(base + 200_000)")
    }

    @Test func costs() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:cost"
        let reply = try await redis.check(CheckCall(bucket(5, burst: 10), key, nowUs: base, costs: [8, 5, 2, 11]))
        #expect(reply.words == ["allowed", "refused", "allowed", "exceeds"])
        #expect(reply.outcomes.map(\.remaining) == [2, 2, 0, 0])
        #expect(reply.outcomes.map(\.retryUs) == [0, 600_000, 0, 0])
    }

    @Test func aDrainedBucketFillsSlowly() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:slow"
        let rule = bucket(1, burst: 100)
        let drained = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [100]))
        #expect(drained.lives == [100_000])
        let later = try await redis.check(CheckCall(rule, key, nowUs: base + 2_200_000, costs: [1, 1, 1]))
        #expect(later.words == ["allowed", "allowed", "refused"])
        #expect(later.outcomes[2].retryUs == 800_000)
    }

    @Test func windows() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let fixed = ScriptRule.fixedWindow(limit: 10, windowUs: 60_000_000)
        let ones = Array(repeating: 1, count: 11)
        let tenth = Array(repeating: "allowed", count: 10) + ["refused"]
        let end = try await redis.check(CheckCall(fixed, prefix + "{a}", nowUs: base + 59_000_000, costs: ones))
        #expect(end.words == tenth)
        #expect(end.outcomes[10].retryUs == 1_000_000)
        let next = try await redis.check(CheckCall(fixed, prefix + "{a}", nowUs: base + 60_000_000, costs: ones))
        #expect(next.words == tenth)

        let log = ScriptRule.slidingWindow(limit: 5, windowUs: 1_000_000)
        let hits = (0..<10).map { CheckCall(log, prefix + "{b}", nowUs: base + $0 * 100, costs: [1]) }
        let words = try await redis.check(hits).flatMap(\.words)
        #expect(words.count { $0 == "allowed" } == 5)
        #expect(words[..<5].allSatisfy { $0 == "allowed" })
    }

    /// No drift: a third of a second is 333,333⅓ µs.
    @Test func threePerSecond() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:third"
        let rule = bucket(3, burst: 3)
        _ = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [3]))
        let early = try await redis.check(rule, key, nowUs: base + 333_333, isPeek: true)
        #expect(early.word == "refused")
        #expect(early.retryUs == 1)
        #expect(try await redis.check(rule, key, nowUs: base + 333_334).word == "allowed")
        // What was left over counts: three in a second, not one each 333,334 µs.
        #expect(try await redis.check(rule, key, nowUs: base + 666_667).word == "allowed")
        #expect(try await redis.check(rule, key, nowUs: base + 999_999).word == "refused")
        #expect(try await redis.check(rule, key, nowUs: base + 1_000_000).word == "allowed")
    }

    /// Three per minute and ten per hour: five calls.
    @Test func twoRulesTogether() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let call = CheckCall(
            [.slidingWindow(limit: 3, windowUs: 60_000_000), .fixedWindow(limit: 10, windowUs: 3_600_000_000)],
            nowUs: base, subjects: [.init(keys: [prefix + "{u}:m", prefix + "{u}:h"], costs: [1, 1, 1, 1, 1])])
        let reply = try await redis.check(call)
        #expect(
            reply.words == [
                "allowed", "allowed", "allowed", "allowed", "allowed", "allowed", "refused", "allowed", "refused",
                "allowed",
            ])
        #expect(reply.outcomes.suffix(2).map(\.remaining) == [0, 7])
    }

    /// previous·(window − elapsed) + (current + cost)·window ≤ limit·window, to the µs.
    @Test func slidingWindowCounterFormula() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        var random = SeededRandom()
        var calls: [CheckCall] = []
        var expected: [String] = []
        for i in 0..<600 {
            let (limit, window) = (random.int(1...12), random.pick([1000, 7777, 1_000_000, 60_000_000]))
            let start = base / window * window + 5 * window
            let previous = random.int(0...limit)
            let elapsed = random.oneIn(3) ? window * random.int(0...limit - 1) / limit : random.int(0...window - 1)
            let current = random.int(0...limit)
            let isCounted =
                current > 0 && previous * (window - elapsed) + current * window <= limit * window
            let cost = random.int(1...limit)
            let sum = previous * (window - elapsed) + ((isCounted ? current : 0) + cost) * window
            let rule = ScriptRule.slidingWindowCounter(limit: limit, windowUs: window)
            let now = start + elapsed
            if previous > 0 { calls.append(CheckCall(rule, "\(prefix){\(i)}", nowUs: start - 1, costs: [previous])) }
            if current > 0 { calls.append(CheckCall(rule, "\(prefix){\(i)}", nowUs: now, costs: [current])) }
            calls.append(CheckCall(rule, "\(prefix){\(i)}", nowUs: now, costs: [cost], isPeek: true))
            if previous > 0 { expected.append("allowed") }
            if current > 0 { expected.append(isCounted ? "allowed" : "refused") }
            expected.append(sum <= limit * window ? "allowed" : "refused")
        }
        let words = try await redis.check(calls).map { $0.words[0] }
        let difference = zip(words, expected).enumerated().first { $1.0 != $1.1 }
        #expect(difference == nil, "QM_SEED=\(random.seed)")
    }
}

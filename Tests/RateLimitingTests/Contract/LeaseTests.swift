import TestSupport
import Testing

@testable import RateLimiting

/// Leases: taken by a check, kept by renewing, ended by release or by silence.
@Suite struct LeaseTests {
    private let base = ExactNumberTests.base
    private let rule = ScriptRule.concurrency(limit: 5, leaseUs: 10_000_000)

    private func take(_ redis: ScriptRedis, _ key: String, _ nowUs: Int, _ costs: [Int], _ prefix: String) async throws
        -> CheckReply
    {
        try await redis.check(
            CheckCall([rule], nowUs: nowUs, subjects: [.init(keys: [key], costs: costs)], prefix: prefix))
    }

    private func word(_ redis: ScriptRedis, _ step: RedisStep) async throws -> String? {
        let reply = try await redis.run(step)
        if case .array(let parts) = reply { return parts.first?.string }
        return reply.string
    }

    @Test func takeRenewRelease() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:leases"
        let taken = try await take(redis, key, base, [2, 1, 3], "ab")
        #expect(taken.words == ["allowed", "allowed", "refused"])
        #expect(taken.outcomes[2].retryUs == 10_000_000)
        #expect(try await redis.run(.command("ZRANGE", key, "0", "-1")).strings == ["ab-1", "ab-1#2", "ab-2"])

        // The first request's lease is kept with both of its places; the second one's ends.
        let renewed = try await redis.run(.renew(key, "ab-1", nowUs: base + 9_000_000, termUs: 10_000_000))
        guard case .array(let parts) = renewed else { throw SetUpFailure("\(renewed)") }
        #expect(parts.first?.string == "renewed" && parts.last?.int == base + 19_000_000)
        let later = try await redis.check(
            CheckCall(rule, key, nowUs: base + 10_000_000, costs: [1], isPeek: true))
        #expect(later.outcomes == [ScriptOutcome(word: "allowed", remaining: 3, resetUs: 9_000_000, retryUs: 0)])

        #expect(try await word(redis, .release(key, "ab-2", nowUs: base + 10_000_000)) == "gone")
        #expect(try await word(redis, .release(key, "ab-1", nowUs: base + 10_000_000)) == "released")
        #expect(try await word(redis, .release(key, "ab-1", nowUs: base + 10_000_000)) == "gone")
        #expect(try await redis.number("EXISTS", key) == 0)
        #expect(
            try await word(redis, .renew(key, "ab-1", nowUs: base + 10_000_000, termUs: 10_000_000)) == "gone")
        #expect(try await redis.number("EXISTS", key) == 0)
    }

    @Test func endsToTheMicrosecond() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:leases"
        _ = try await take(redis, key, base, [5], "ab")
        #expect(try await take(redis, key, base + 9_999_999, [1], "cd").words == ["refused"])
        #expect(try await word(redis, .renew(key, "ab-1", nowUs: base + 10_000_000, termUs: 1)) == "gone")
        #expect(try await take(redis, key, base + 10_000_000, [5], "cd").words == ["allowed"])
        // What has ended was dropped.
        #expect(try await redis.number("ZCARD", key) == 5)
    }

    /// A holder keeps its place for ever by renewing, and Redis keeps the key as long.
    @Test func renewingKeepsTheKey() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:leases"
        let short = ScriptRule.concurrency(limit: 1, leaseUs: 60_000_000)
        let call = CheckCall([short], nowUs: base, subjects: [.init(keys: [key], costs: [1])], prefix: "ab")
        _ = try await redis.run(call.step(clock: "", flags: ""))
        var renew = RedisStep.renew(key, "ab-1", nowUs: 0, termUs: 3_600_000_000)
        renew.words[0] = ""
        #expect(try await word(redis, renew) == "renewed")
        #expect((3_590_000...3_600_000).contains(try await redis.number("PTTL", key)))
        // A shorter lease beside a longer one does not shorten the key's life.
        let wide = ScriptRule.concurrency(limit: 3, leaseUs: 3_600_000_000)
        let beside = CheckCall([wide], nowUs: base, subjects: [.init(keys: [key], costs: [1])], prefix: "cd")
        _ = try await redis.run(beside.step(clock: "", flags: ""))
        renew.words[1] = "cd-1"
        renew.words[2] = "1000000"
        #expect(try await word(redis, renew) == "renewed")
        #expect(try await redis.number("PTTL", key) > 3_500_000)
    }

    /// The wait of a request that needs several places ends with the last of them.
    @Test func waitsForAsManyAsNeeded() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:leases"
        for i in 0..<5 { _ = try await take(redis, key, base + i * 1_000_000, [1], "p\(i)") }
        let reply = try await redis.check(
            CheckCall(rule, key, nowUs: base + 5_000_000, costs: [1, 3, 5], isPeek: true))
        #expect(reply.outcomes.map(\.retryUs) == [5_000_000, 7_000_000, 9_000_000])
    }

    /// Requests of one call are told apart by their place in the whole call.
    @Test func idsCountOverTheCall() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let call = CheckCall(
            [rule], nowUs: base,
            subjects: [
                .init(keys: [prefix + "{a}"], costs: [1, 6, 1]), .init(keys: [prefix + "{b}"], costs: [2]),
                .init(keys: [prefix + "{a}"], costs: [1]),
            ], prefix: "ab")
        #expect(try await redis.check(call).words == ["allowed", "exceeds", "allowed", "allowed", "allowed"])
        #expect(
            try await redis.run(.command("ZRANGE", prefix + "{a}", "0", "-1")).strings == ["ab-1", "ab-3", "ab-5"])
        #expect(try await redis.run(.command("ZRANGE", prefix + "{b}", "0", "-1")).strings == ["ab-4", "ab-4#2"])
    }
}

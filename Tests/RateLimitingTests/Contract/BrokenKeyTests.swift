import TestSupport
import Testing

@testable import RateLimiting

/// Keys that hold something else, and what composition makes of them.
@Suite struct BrokenKeyTests {
    private let base = ExactNumberTests.base

    /// Answered `broken`; the key is left alone, and so are the other subjects.
    @Test(arguments: [false, true])
    func otherSubjectsAreServed(isComposed: Bool) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let writes = [["SET", "what"], ["HSET", "field", "what"], ["RPUSH", "what"], ["SET", "used=1 from="]]
        for rule in AllStrategies.rules(limit: 5, windowUs: 60_000_000) {
            for (i, write) in writes.enumerated() {
                let key = "\(prefix){\(rule.name)}:\(i)"
                _ = try await redis.run(RedisStep(words: [write[0], key] + write.dropFirst()))
                let before = try await redis.text("DUMP", key)
                var call = CheckCall(rule, key + ":before", nowUs: base, costs: [1])
                call.usesComposed = isComposed
                call.subjects += [.init(keys: [key], costs: [1, 2]), .init(keys: [key + ":after"], costs: [1])]
                let reply = try await redis.check(call)
                #expect(reply.words == ["allowed", "broken", "broken", "allowed"], "\(rule)")
                #expect(reply.outcomes[1] == ScriptOutcome(word: "broken", remaining: 0, resetUs: 0, retryUs: 0))
                #expect(reply.lives[1] == 0)
                #expect(try await redis.refund(rule, key, nowUs: base, amount: 1).word == "broken", "\(rule)")
                #expect(try await redis.text("DUMP", key) == before, "\(rule)")
            }
        }
    }

    /// Under several rules a broken enforcing one refuses its subject, which consumes nothing; a broken shadow rule
    /// stands in nobody's way.
    @Test func underSeveralRules() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        _ = try await redis.run(.command("RPUSH", prefix + "{a}:broken", "what"))
        let rules = [ScriptRule.fixedWindow(limit: 5, windowUs: 60_000_000), .slidingWindow(limit: 5, windowUs: 1000)]
        var call = CheckCall(
            rules, nowUs: base,
            subjects: [
                .init(keys: [prefix + "{a}:good", prefix + "{a}:broken"], costs: [1]),
                .init(keys: [prefix + "{b}:good", prefix + "{b}:other"], costs: [1]),
            ])
        let enforced = try await redis.check(call)
        #expect(enforced.words == ["allowed", "broken", "allowed", "allowed"])
        #expect(enforced.outcomes.map(\.remaining) == [5, 0, 4, 4])
        #expect(try await redis.number("EXISTS", prefix + "{a}:good") == 0)

        call.enforcing = 1
        let shadowed = try await redis.check(call)
        #expect(shadowed.words == ["allowed", "broken", "allowed", "allowed"])
        #expect(shadowed.outcomes.map(\.remaining) == [4, 0, 3, 3])
    }

    /// A shadow rule that refuses takes nothing and holds nobody up.
    @Test func shadowRules() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let rules = [
            ScriptRule.fixedWindow(limit: 3, windowUs: 60_000_000), .fixedWindow(limit: 1, windowUs: 60_000_000),
            .fixedWindow(limit: 9, windowUs: 60_000_000),
        ]
        let call = CheckCall(
            rules, enforcing: 1, nowUs: base,
            subjects: [.init(keys: (0..<3).map { "\(prefix){a}:\($0)" }, costs: [1, 1, 2, 1, 1])])
        let reply = try await redis.check(call)
        let byRule = (0..<3).map { rule in
            (0..<5).map { reply.outcomes[3 * $0 + rule] }.map { "\($0.word) \($0.remaining)" }
        }
        #expect(byRule[0] == ["allowed 2", "allowed 1", "refused 1", "allowed 0", "refused 0"])
        #expect(byRule[1] == ["allowed 0", "refused 0", "exceeds 0", "refused 0", "refused 0"])
        // What an enforcing rule refuses is not consumed under a shadow rule that would have allowed it.
        #expect(byRule[2] == ["allowed 8", "allowed 7", "allowed 7", "allowed 6", "allowed 6"])
    }
}

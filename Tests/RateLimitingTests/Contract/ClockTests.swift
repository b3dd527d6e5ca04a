import TestSupport
import Testing

@testable import RateLimiting

/// The clock never runs backwards for a key.
@Suite struct ClockTests {
    private let base = ExactNumberTests.base

    /// Up to a second behind the key's own time: the key holds, nothing comes back, and the wait is from the clock that
    /// was asked by.
    @Test func upToASecondIsHeld() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 4, windowUs: 60_000_000) {
            let key = "\(prefix){\(rule.name)}"
            _ = try await redis.check(rule, key, nowUs: base, cost: 3)
            let full = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [2], isPeek: true))
            let held = try await redis.check(CheckCall(rule, key, nowUs: base - 1_000_000, costs: [2], isPeek: true))
            #expect(held.words == ["refused"] && held.clockResets == 0, "\(rule)")
            #expect(held.outcomes[0].remaining == 1, "\(rule)")
            #expect(held.outcomes[0].retryUs == full.outcomes[0].retryUs + 1_000_000, "\(rule)")
            // Consumed while held: it is all one time for the key.
            #expect(try await redis.check(rule, key, nowUs: base - 500_000).word == "allowed")
            #expect(try await redis.check(rule, key, nowUs: base).word == "refused", "\(rule)")
        }
    }

    /// Further behind, the clock had jumped: what is left stays, the state's time is now, once.
    @Test(arguments: [false, true])
    func beyondASecondIsReset(isComposed: Bool) async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 4, windowUs: 60_000_000) {
            let key = "\(prefix){\(rule.name)}"
            let ahead = base + 86_400_000_000
            _ = try await redis.check(rule, key, nowUs: ahead, cost: 3)
            // Refused, and yet written: else it would be found ahead until the clock gets there.
            var call = CheckCall(rule, key, nowUs: base, costs: [2])
            call.usesComposed = isComposed
            let reset = try await redis.check(call)
            #expect(reset.clockResets == 1, "\(rule)")
            #expect(reset.words == ["refused"] && reset.outcomes[0].remaining == 1, "\(rule)")
            #expect(reset.outcomes[0].retryUs <= 120_000_000, "\(rule)")
            let again = try await redis.check(call)
            #expect(again.clockResets == 0 && again.words == ["refused"], "\(rule)")
            call.nowUs += reset.outcomes[0].retryUs
            #expect(try await redis.check(call).words == ["allowed"], "\(rule)")
        }
    }

    /// A refund sees the jump too, and leaves the key in the present.
    @Test func aRefundAfterAJump() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in AllStrategies.rules(limit: 4, windowUs: 60_000_000).dropLast() {
            let key = "\(prefix){\(rule.name)}"
            _ = try await redis.check(rule, key, nowUs: base + 86_400_000_000, cost: 4)
            let refund = try await redis.refund(rule, key, nowUs: base, amount: 1)
            #expect(refund.word == "refunded" && refund.remaining == 1, "\(rule)")
            let after = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [1, 1]))
            #expect(after.words == ["allowed", "refused"] && after.clockResets == 0, "\(rule)")
        }
    }

    // MARK: Calendar periods

    private let minutes = UnevenPeriods(lengthUs: 60_000_000)

    @Test func quotaBoundaries() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:quota"
        let rule = ScriptRule.quota(limit: 2, periods: minutes)
        func check(_ nowUs: Int, callerUs: Int) async throws -> CheckReply {
            var call = CheckCall(rule, key, nowUs: nowUs, costs: [2])
            call.callerUs = callerUs
            return try await redis.check(call)
        }
        let last = base + 59_999_999
        #expect(try await check(last, callerUs: last).words == ["allowed"])
        // The script picks by its own clock, whichever of the periods the caller thinks it is.
        for callerUs in [base, base + 60_000_000, base + 119_999_999] {
            let refused = try await check(last, callerUs: callerUs)
            #expect(refused.words == ["refused"] && refused.outcomes.first?.retryUs == 1)
        }
        // In the last second of the last known period, a key that is ahead may be in one whose end is not known.
        #expect(try await check(base + 58_999_999, callerUs: base - 1).words == ["refused"])
        #expect(try await check(base + 59_000_000, callerUs: base - 1).isStale)
        #expect(try await check(base + 60_000_000, callerUs: last).words == ["allowed"])
    }

    /// When none of the periods fits, the whole call does nothing.
    @Test func stalePeriods() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let rules: [ScriptRule] = [
            .fixedWindow(limit: 5, windowUs: 60_000_000), .quota(limit: 5, periods: minutes),
        ]
        for callerUs in [base - 120_000_000, base + 120_000_000] {
            for rules in [rules, [rules[1]]] {
                var call = CheckCall(
                    rules, nowUs: base + 30_000_000,
                    subjects: ["a", "b"].map { subject in
                        .init(keys: rules.map { "\(prefix){\(subject)}:\($0.name)" }, costs: [1])
                    })
                call.callerUs = callerUs
                #expect(try await redis.check(call).isStale)
                for subject in call.subjects {
                    for key in subject.keys { #expect(try await redis.number("EXISTS", key) == 0) }
                }
            }
        }
        let refund = RedisStep.refund(rules[1], prefix + "{a}", nowUs: base, amount: 1, receiptUs: nil)
        var stale = refund
        stale.words[0] = String(base + 600_000_000)
        guard case .array(let parts) = try await redis.run(stale) else { throw SetUpFailure("refund") }
        #expect(parts.first?.string == "stale")
    }

    /// Limits and bursts that change to and fro on one key keep what was used.
    @Test func alternatingLimits() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let wide = AllStrategies.rules(limit: 10, windowUs: 60_000_000)
        let narrow = AllStrategies.rules(limit: 7, windowUs: 60_000_000)
        for (wide, narrow) in zip(wide, narrow) {
            let key = "\(prefix){\(wide.name)}"
            var remaining: [Int] = []
            for i in 0..<7 {
                remaining.append(try await redis.check(i % 2 == 0 ? wide : narrow, key, nowUs: base).remaining)
            }
            #expect(remaining == [9, 5, 7, 3, 5, 1, 3], "\(wide)")
            #expect(try await redis.check(narrow, key, nowUs: base).word == "refused", "\(wide)")
            #expect(try await redis.check(wide, key, nowUs: base, cost: 3).word == "allowed", "\(wide)")
            #expect(try await redis.check(wide, key, nowUs: base).word == "refused", "\(wide)")
        }
    }

    /// The largest bucket whose numbers are exact, and units that do not divide each other.
    @Test func alternatingLimitsOfLongWindows() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let dayUs = 86_400_000_000
        var schedule = Schedule()
        for (i, limits) in [(1, 7), (11, 13), (1_000_003, 999_983), (50_000, 49_999)].enumerated() {
            for step in 0..<40 {
                let limit = step % 2 == 0 ? limits.0 : limits.1
                schedule.check(
                    CheckCall(
                        .tokenBucket(limit: limit, windowUs: dayUs, burst: 50_000, initial: 50_000), "\(prefix){\(i)}",
                        nowUs: base + step * 1_234_567, costs: [1 + step * 37]))
            }
        }
        try await schedule.run(on: redis, seed: 0)
    }
}

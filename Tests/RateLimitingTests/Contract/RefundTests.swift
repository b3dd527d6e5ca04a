import TestSupport
import Testing

@testable import RateLimiting

/// Giving back: with a receipt exactly the decision's own, without one up to all there is.
@Suite struct RefundTests {
    private let base = ExactNumberTests.base
    private let windowUs = 60_000_000

    private var refundable: [ScriptRule] { AllStrategies.rules(limit: 10, windowUs: windowUs).dropLast() }

    @Test func withoutReceipt() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in refundable {
            let key = "\(prefix){\(rule.name)}"
            _ = try await redis.check(rule, key, nowUs: base, cost: 10)
            let some = try await redis.refund(rule, key, nowUs: base, amount: 3)
            #expect(some.word == "refunded" && some.remaining == 3, "\(rule)")
            let all = try await redis.refund(rule, key, nowUs: base, amount: 100)
            #expect(all.word == "refunded" && all.remaining == 10, "\(rule)")
            let after = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [10, 1]))
            #expect(after.words == ["allowed", "refused"], "\(rule)")
        }
    }

    @Test func anUnknownKeyIsNotMade() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let empty = ScriptRule.tokenBucket(limit: 5, windowUs: 1_000_000, burst: 10, initial: 2)
        for (i, rule) in (refundable + [empty]).enumerated() {
            let key = "\(prefix){\(i)}"
            #expect(try await redis.refund(rule, key, nowUs: base, amount: 3).word == "nothing", "\(rule)")
            #expect(try await redis.number("EXISTS", key) == 0, "\(rule)")
            _ = try await redis.refund(rule, key, nowUs: base, amount: 3, receiptUs: base)
            #expect(try await redis.number("EXISTS", key) == 0, "\(rule)")
        }
    }

    @Test func leasesAreNotRefunded() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:leases"
        let rule = ScriptRule.concurrency(limit: 3, leaseUs: windowUs)
        _ = try await redis.check(rule, key, nowUs: base)
        let refund = try await redis.refund(rule, key, nowUs: base, amount: 1)
        #expect(refund.word == "unsupported" && refund.remaining == 2)
    }

    @Test func aReceiptIsVoidOnceItsWindowHasPassed() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        for rule in refundable {
            let key = "\(prefix){\(rule.name)}"
            _ = try await redis.check(rule, key, nowUs: base, cost: 4)
            let good = try await redis.refund(rule, key, nowUs: base + 1, amount: 1, receiptUs: base)
            #expect(good.word == "refunded" && good.remaining == 7, "\(rule)")
            // The counter still weighs the window before: there a receipt is good for one window more.
            let windows = if case .slidingWindowCounter = rule { 2 } else { 1 }
            let later = base + windows * windowUs
            _ = try await redis.check(rule, key, nowUs: later, cost: 2)
            let void = try await redis.refund(rule, key, nowUs: later, amount: 1, receiptUs: base)
            #expect(void.word == "void" && void.remaining == 8, "\(rule)")
        }
    }

    @Test func aReceiptTakesBackItsOwnEntries() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:log"
        let rule = ScriptRule.slidingWindow(limit: 20, windowUs: windowUs)
        for step in 0..<3 { _ = try await redis.check(rule, key, nowUs: base + step, cost: 4) }
        let refund = try await redis.refund(rule, key, nowUs: base + 9, amount: 3, receiptUs: base + 1)
        #expect(refund.word == "refunded" && refund.remaining == 11)
        #expect(try await redis.number("ZCOUNT", key, String(base), String(base)) == 4)
        #expect(try await redis.number("ZCOUNT", key, String(base + 1), String(base + 1)) == 1)
        #expect(try await redis.number("ZCOUNT", key, String(base + 2), String(base + 2)) == 4)
        #expect(try await redis.refund(rule, key, nowUs: base + 9, amount: 3, receiptUs: base + 5).word == "void")
        // No more than the decision's own, however much is asked for.
        let rest = try await redis.refund(rule, key, nowUs: base + 9, amount: 100, receiptUs: base + 1)
        #expect(rest.word == "refunded" && rest.remaining == 12)
    }

    /// Entries given back within their µs leave no number that a new one would share.
    @Test func entriesOfOneMicrosecond() async throws {
        let redis = try await ScriptRedis.shared
        let prefix = try RedisServer.shared.prefix()
        let rule = ScriptRule.slidingWindow(limit: 30, windowUs: windowUs)
        for receipt in [nil, base] {
            let key = "\(prefix){\(receipt ?? 0)}"
            _ = try await redis.check(rule, key, nowUs: base, cost: 12)
            _ = try await redis.refund(rule, key, nowUs: base, amount: 3, receiptUs: receipt)
            let reply = try await redis.check(rule, key, nowUs: base, cost: 12)
            #expect(reply.remaining == 9)
            #expect(try await redis.check(rule, key, nowUs: base).remaining == 8)
        }
    }

    /// The largest log: written, refused, given back and expired in whole.
    @Test func tenThousandEntries() async throws {
        let redis = try await ScriptRedis.shared
        let key = try RedisServer.shared.prefix() + "{user:1}:log"
        let rule = ScriptRule.slidingWindow(limit: 10_000, windowUs: windowUs)
        #expect(try await redis.check(rule, key, nowUs: base, cost: 10_000).remaining == 0)
        #expect(try await redis.number("ZCARD", key) == 10_000)
        #expect(try await redis.check(rule, key, nowUs: base + 1).retryUs == windowUs - 1)
        let refund = try await redis.refund(rule, key, nowUs: base + 1, amount: 9_000, receiptUs: base)
        #expect(refund.word == "refunded" && refund.remaining == 9_000)
        #expect(try await redis.check(rule, key, nowUs: base + 2, cost: 9_000).remaining == 0)
        #expect(try await redis.check(rule, key, nowUs: base + 2 * windowUs, cost: 10_000).word == "allowed")
        #expect(try await redis.number("ZCARD", key) == 10_000)
        // A clock that had jumped: all of it counts as made now.
        let reset = try await redis.check(CheckCall(rule, key, nowUs: base, costs: [1]))
        #expect(reset.words == ["refused"] && reset.clockResets == 1)
        #expect(reset.outcomes[0].retryUs == windowUs)
        #expect(try await redis.number("ZCOUNT", key, String(base), String(base)) == 10_000)
        #expect(try await redis.number("MEMORY", "USAGE", key, "SAMPLES", "0") < 1_500_000)
    }
}

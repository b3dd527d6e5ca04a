import Testing

@testable import RateLimiting

struct LocalLimitsTests {
    /// A bucket counted by what it holds, in numbers wide enough for any product.
    private struct Model {
        let share: Int128
        let windowUs: Int128
        var held: Int128
        var atUs: Int64

        mutating func take(_ cost: Int, _ nowUs: Int64) -> Outcome {
            held = min(share * windowUs, held + Int128(nowUs - atUs) * share)
            atUs = nowUs
            let needed = Int128(cost) * windowUs
            guard Int128(cost) <= share else { return Outcome(verdict: .exceeds, remaining: 0, resetUs: 0, retryUs: 0) }
            let isAllowed = needed <= held
            if isAllowed { held -= needed }
            let missing = isAllowed ? 0 : needed - held
            return Outcome(
                verdict: isAllowed ? .allowed : .refused, remaining: Int(held / windowUs),
                resetUs: Int((share * windowUs - held + share - 1) / share), retryUs: Int((missing + share - 1) / share)
            )
        }
    }

    @Test(arguments: Array(1...30) as [UInt64])
    func agreesWithTheModel(_ seed: UInt64) {
        var random = SplitMix64(seed)
        let windowUs = random.element([1000, 1_000_000, 60_000_000, 366 * 86_400_000_000])
        let capacity = random.element([1, 3, 10, 1000, 250_000, RuleDraft.largestExact])
        let replicas = random.element([1, 2, 3, 7])
        let share = (capacity + replicas - 1) / replicas
        let limits = LocalLimits()
        var nowUs: Int64 = 1_000_000
        var models: [[UInt8]: Model] = [:]
        for step in 0..<2000 {
            nowUs += Int64(random.below(random.element([1, 10, max(2, windowUs / share), windowUs * 2])))
            let key = [UInt8(random.below(3))]
            let cost = 1 + random.below(random.element([1, share, share + 2]))
            let wide = Int128(share)
            var model =
                models[key]
                ?? Model(share: wide, windowUs: Int128(windowUs), held: wide * Int128(windowUs), atUs: nowUs)
            let expected = model.take(cost, nowUs)
            models[key] = model
            let outcome = limits.take(
                key, cost: cost, capacity: capacity, windowUs: windowUs, replicas: replicas, nowUs: nowUs)
            guard outcome == expected else {
                Issue.record("seed \(seed), step \(step): \(outcome), not \(expected)")
                return
            }
        }
    }

    @Test func refusedBeforeItsRetryAndAllowedAtIt() {
        let limits = LocalLimits()
        func take(_ nowUs: Int64) -> Outcome {
            limits.take([1], cost: 1, capacity: 7, windowUs: 1_000_000, replicas: 1, nowUs: nowUs)
        }
        for left in (0..<7).reversed() { #expect(take(0).remaining == left) }
        let refused = take(0)
        #expect(refused.verdict == .refused && refused.retryUs == 142_858 && refused.resetUs == 1_000_000)
        #expect(take(142_857).verdict == .refused)
        #expect(take(142_858).verdict == .allowed)
    }

    /// The largest limit and the longest window that a rule may have: their product is far beyond 64 bits.
    @Test func isExactForEveryLimitThatARuleMayHave() {
        let limits = LocalLimits()
        let windowUs = RuleDraft.longestWindowMs * 1000
        let capacity = RuleDraft.largestExact
        func take(_ cost: Int, _ nowUs: Int64 = 5) -> Outcome {
            limits.take([1], cost: cost, capacity: capacity, windowUs: windowUs, replicas: 1, nowUs: nowUs)
        }
        #expect(take(1).remaining == capacity - 1)
        #expect(take(capacity).verdict == .refused)
        #expect(take(capacity - 1) == Outcome(verdict: .allowed, remaining: 0, resetUs: windowUs, retryUs: 0))
        // A microsecond gives back 284 tokens and a fraction.
        #expect(take(285, 6) == Outcome(verdict: .refused, remaining: 284, resetUs: windowUs - 1, retryUs: 1))
        #expect(take(284, 6).verdict == .allowed)
        #expect(take(capacity + 1).verdict == .exceeds)
    }

    /// Whoever asks with ever new keys makes nobody forgotten who is asked about meanwhile.
    @Test func aFloodOfKeysForgetsNobodyWhoComesAgain() {
        let limits = LocalLimits(mostKeys: 100)
        func take(_ key: [UInt8]) -> Outcome {
            limits.take(key, cost: 1, capacity: 1, windowUs: 1_000_000, replicas: 1, nowUs: 0)
        }
        #expect(take([0]).verdict == .allowed)
        for i in 1...10_000 {
            #expect(take([1, UInt8(i % 256), UInt8(i / 256)]).verdict == .allowed)
            if i.isMultiple(of: 40) { #expect(take([0]).verdict == .refused) }
        }
    }

    /// A rule whose window changes goes on with what was used.
    @Test func anotherWindow() {
        let limits = LocalLimits()
        func take(_ windowUs: Int) -> Outcome {
            limits.take([1], cost: 1, capacity: 4, windowUs: windowUs, replicas: 1, nowUs: 0)
        }
        #expect(take(1000).remaining == 3)
        #expect(take(7_000_000).remaining == 2)
        #expect(take(1).remaining == 1)
    }

    @Test func aClockThatLagsBehindGivesAndTakesNothing() {
        let limits = LocalLimits()
        func take(_ nowUs: Int64) -> Outcome {
            limits.take([1], cost: 1, capacity: 2, windowUs: 1000, replicas: 1, nowUs: nowUs)
        }
        #expect(take(10_000).remaining == 1)
        #expect(take(5000) == Outcome(verdict: .allowed, remaining: 0, resetUs: 1000, retryUs: 0))
        #expect(take(5000).verdict == .refused)
        #expect(take(10_000).verdict == .refused)
        #expect(take(10_500).verdict == .allowed)
    }
}

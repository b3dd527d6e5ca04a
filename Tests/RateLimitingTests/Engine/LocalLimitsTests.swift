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
        let capacity = random.element([1, 3, 10, 1000, 250_000])
        let replicas = random.element([1, 2, 3, 7])
        let share = (capacity + replicas - 1) / replicas
        let limits = LocalLimits()
        var nowUs: Int64 = 1_000_000
        var models: [[UInt8]: Model] = [:]
        for step in 0..<2000 {
            nowUs += Int64(random.below(random.element([1, 10, max(2, windowUs / share), windowUs * 2])))
            let key = [UInt8(random.below(3))]
            let cost = 1 + random.below(random.element([1, share, share + 2]))
            var model =
                models[key]
                ?? Model(share: Int128(share), windowUs: Int128(windowUs), held: Int128(share * windowUs), atUs: nowUs)
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

    /// The largest share whose units are an integer: sums of them are not.
    @Test func doesNotOverflow() {
        let limits = LocalLimits()
        let windowUs = 366 * 86_400_000_000
        let capacity = Int.max / windowUs
        func take(_ cost: Int, _ capacity: Int) -> Outcome {
            limits.take([1], cost: cost, capacity: capacity, windowUs: windowUs, replicas: 1, nowUs: 5)
        }
        #expect(take(capacity, capacity).verdict == .allowed)
        #expect(take(capacity, capacity).verdict == .refused)
        #expect(take(capacity, capacity).resetUs <= windowUs)
        // Beyond that a share is too large to be used up, and lets pass.
        #expect(take(1, capacity + 1).verdict == .allowed)
        #expect(take(capacity + 1, capacity).verdict == .exceeds)
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

@testable import RateLimiting

/// One rule of each strategy, for tests that hold for all of them.
enum AllStrategies {
    static func rules(limit: Int, windowUs: Int) -> [ScriptRule] {
        [
            .tokenBucket(limit: limit, windowUs: windowUs, burst: limit, initial: limit),
            .slidingWindow(limit: limit, windowUs: windowUs),
            .slidingWindowCounter(limit: limit, windowUs: windowUs),
            .fixedWindow(limit: limit, windowUs: windowUs),
            .quota(limit: limit, periods: UnevenPeriods(lengthUs: windowUs)),
            .concurrency(limit: limit, leaseUs: windowUs),
        ]
    }
}

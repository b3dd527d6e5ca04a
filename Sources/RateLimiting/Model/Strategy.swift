/// How a rule counts. Each has its Lua file of the same name in `lua/rate_limiting`.
public enum StrategyName: String, Sendable, CaseIterable {
    case tokenBucket = "token_bucket"
    case slidingWindow = "sliding_window"
    case slidingWindowCounter = "sliding_window_counter"
    case fixedWindow = "fixed_window"
    case quota = "quota"
    case concurrency = "concurrency"
}

/// A strategy with its numbers, checked: every value here can be computed with exactly.
public enum Strategy: Sendable, Equatable {
    /// `limit` tokens come back per `windowMs`; at most `burst` are held; a new key starts with `initial` of them.
    case tokenBucket(limit: Int, windowMs: Int, burst: Int, initial: Int)
    /// Exactly `limit` in any stretch of `windowMs`: every admission is remembered.
    case slidingWindow(limit: Int, windowMs: Int)
    /// `limit` in a window estimated from two counters.
    case slidingWindowCounter(limit: Int, windowMs: Int)
    /// `limit` per window; windows are aligned to the epoch.
    case fixedWindow(limit: Int, windowMs: Int)
    /// `limit` per calendar period in a time zone.
    case quota(limit: Int, period: Period, timeZone: String)
    /// At most `limit` held at once; a holder that is silent for `maxLeaseMs` loses its place.
    case concurrency(limit: Int, maxLeaseMs: Int)
}

/// A calendar period of a quota; it starts at local midnight (an hour: at the full hour; a week: on Monday).
public enum Period: String, Sendable, CaseIterable {
    case hour, day, week, month, year
}

extension Strategy {
    public var name: StrategyName {
        switch self {
        case .tokenBucket: .tokenBucket
        case .slidingWindow: .slidingWindow
        case .slidingWindowCounter: .slidingWindowCounter
        case .fixedWindow: .fixedWindow
        case .quota: .quota
        case .concurrency: .concurrency
        }
    }

    public var limit: Int {
        switch self {
        case .tokenBucket(let limit, _, _, _), .slidingWindow(let limit, _), .slidingWindowCounter(let limit, _),
            .fixedWindow(let limit, _), .quota(let limit, _, _), .concurrency(let limit, _):
            limit
        }
    }

    /// The most that can be admitted at once: what answers call `limit`.
    public var capacity: Int {
        if case .tokenBucket(_, _, let burst, _) = self { burst } else { limit }
    }

    /// The window in milliseconds; nil for a quota, whose periods differ in length, and for concurrency.
    public var windowMs: Int? {
        switch self {
        case .tokenBucket(_, let windowMs, _, _), .slidingWindow(_, let windowMs),
            .slidingWindowCounter(_, let windowMs), .fixedWindow(_, let windowMs):
            windowMs
        case .quota, .concurrency: nil
        }
    }

    /// Whether counters made under `other` mean the same under this strategy: limits and bursts may differ.
    func continues(_ other: Strategy) -> Bool {
        switch (self, other) {
        case (.tokenBucket(_, let a, _, _), .tokenBucket(_, let b, _, _)),
            (.slidingWindow(_, let a), .slidingWindow(_, let b)),
            (.slidingWindowCounter(_, let a), .slidingWindowCounter(_, let b)),
            (.fixedWindow(_, let a), .fixedWindow(_, let b)):
            a == b
        case (.quota(_, let a, let zoneA), .quota(_, let b, let zoneB)): a == b && zoneA == zoneB
        case (.concurrency, .concurrency): true
        default: false
        }
    }
}

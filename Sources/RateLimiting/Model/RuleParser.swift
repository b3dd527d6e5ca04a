import Bytes
import JSON
import Services
import TimeZones

/// Reads rules as clients write them: the one place where a rule's values are checked.
struct RuleDraft {
    var name: String?
    var isEnabled = true
    var mode = Rule.Mode.enforce
    var group: String?
    var effect: Rule.Effect
    var match = Rule.Match.everything
    var per: [Rule.KeyPart] = [.identifier]
    var onStoreFailure = Rule.StoreFailure.allow
    var idleBurst: Int?

    static let longestName = 128
    static let longestWindowMs = 366 * 86_400_000
    /// The largest integer that Lua and JSON hold exactly.
    static let largestExact = 9_007_199_254_740_991
    static let mostIdentifiers = 10_000

    /// Integers below are no windows: whoever writes `"window": 60` means seconds.
    static let leastPlainMs = 1000

    /// - Parameters:
    ///   - field: the name of the field that holds the rule, nil for the body itself.
    ///   - isStored: an earlier version took it; it binds, even where a new one would be refused.
    init(_ value: JSONValue, field: String? = nil, isStored: Bool = false) throws(Problem) {
        var fields = try Fields(value, of: field)
        fields.ignore("id", "version", "generation", "createdAt", "updatedAt")
        name = try fields.string("name", max: RuleDraft.longestName)
        isEnabled = try fields.bool("enabled") ?? true
        mode = try fields.word("mode", Rule.Mode.self) ?? .enforce
        group = try fields.string("group", max: RuleDraft.longestName)
        onStoreFailure = try fields.word("onStoreFailure", Rule.StoreFailure.self) ?? .allow
        let action = try fields.word("action", Action.self) ?? .limit
        let isUnlimited = try fields.bool("unlimited") ?? false
        if action == .limit, !isUnlimited {
            (effect, idleBurst) = try RuleDraft.limit(&fields, isStored)
        } else {
            for name in ["strategy", "limit", "window", "burst", "initial", "period", "timeZone", "maxLeaseMs"]
            where fields.value(name) != nil {
                throw .field(fields.name(name), "has no meaning for a rule that limits nothing")
            }
            effect = action == .allow ? .allow : action == .deny ? .deny : .unlimited
        }
        if var match = try fields.object("match") { self.match = try RuleDraft.match(&match, isStored) }
        if let parts = try fields.strings("per", maxCount: Rule.KeyPart.allCases.count) {
            per = try RuleDraft.keyParts(parts, fields.name("per"))
        }
        try fields.finish()
        if !isStored, case .limit(.concurrency) = effect, Rule.guardsOwnAPI(group ?? name ?? "") {
            throw .field(fields.name("strategy"), "cannot be concurrency for our own API, where nobody releases leases")
        }
        if case .limit(.concurrency) = effect, onStoreFailure == .local {
            throw .field(fields.name("onStoreFailure"), "cannot be local for concurrency: leases are only in the store")
        }
    }

    private enum Action: String, CaseIterable { case limit, allow, deny }

    private static func limit(
        _ fields: inout Fields, _ isStored: Bool
    ) throws(Problem) -> (Rule.Effect, idleBurst: Int?) {
        let name = try fields.word("strategy", StrategyName.self).required(fields.name("strategy"))
        let limit = try fields.int("limit", in: 1...largestExact).required(fields.name("limit"))
        let windowMs = try fields.durationMs(
            "window", in: 1...longestWindowMs, leastPlain: isStored ? 0 : leastPlainMs)
        let burst = try fields.int("burst", in: 1...largestExact)
        let initial = try fields.int("initial", in: 0...largestExact)
        let period = try fields.word("period", Period.self)
        let timeZone = try fields.string("timeZone", max: 64)
        let maxLeaseMs = try fields.durationMs("maxLeaseMs", in: 1...longestWindowMs)
        func window() throws(Problem) -> Int { try windowMs.required(fields.name("window")) }
        func only(_ isPresent: Bool, _ field: String, _ owner: StrategyName) throws(Problem) {
            if isPresent, name != owner {
                throw .field(fields.name(field), "belongs to the strategy \(owner.rawValue)")
            }
        }
        try only(initial != nil, "initial", .tokenBucket)
        try only(period != nil, "period", .quota)
        try only(timeZone != nil, "timeZone", .quota)
        try only(maxLeaseMs != nil, "maxLeaseMs", .concurrency)
        if windowMs != nil, name == .quota || name == .concurrency {
            throw .field(fields.name("window"), "has no meaning for the strategy \(name.rawValue)")
        }
        let strategy: Strategy
        switch name {
        case .tokenBucket:
            let burst = burst ?? limit
            let initial = initial ?? burst
            if initial > burst { throw .field(fields.name("initial"), "must not be above burst (\(burst))") }
            strategy = .tokenBucket(limit: limit, windowMs: try window(), burst: burst, initial: initial)
        case .slidingWindow: strategy = .slidingWindow(limit: limit, windowMs: try window())
        case .slidingWindowCounter: strategy = .slidingWindowCounter(limit: limit, windowMs: try window())
        case .fixedWindow: strategy = .fixedWindow(limit: limit, windowMs: try window())
        case .quota:
            let zone = timeZone ?? "UTC"
            guard Zone(identifier: zone) != nil else {
                throw .field(fields.name("timeZone"), "is not a time zone that is known here: \(zone)")
            }
            strategy = .quota(limit: limit, period: try period.required(fields.name("period")), timeZone: zone)
        case .concurrency:
            strategy = .concurrency(limit: limit, maxLeaseMs: try maxLeaseMs.required(fields.name("maxLeaseMs")))
        }
        if let problem = strategy.inexactness { throw .field(fields.name("limit"), problem) }
        return (.limit(strategy), name == .tokenBucket ? nil : burst)
    }

    private static func match(_ fields: inout Fields, _ isStored: Bool) throws(Problem) -> Rule.Match {
        var match = Rule.Match()
        if let endpoint = try fields.string("endpoint", max: 1024) {
            guard EndpointPattern(endpoint) != nil else {
                throw .field(
                    fields.name("endpoint"),
                    "must begin with / and may end with *, with {name} for one segment, of which there are at most "
                        + "\(EndpointPattern.mostSegments)")
            }
            if !isStored { try checkWritten(endpoint, fields.name("endpoint")) }
            match.endpoint = endpoint
        }
        if let method = try fields.string("method", max: 16) {
            guard method.utf8.allSatisfy({ $0 >= 0x41 && $0 <= 0x5A }) else {
                throw .field(fields.name("method"), "must be a method in capital letters, such as GET")
            }
            match.method = method
        }
        match.tier = try fields.string("tier", max: 64)
        match.isExact = try fields.bool("exact") ?? false
        let isOne = if case .string? = fields.peek("identifier") { true } else { false }
        if let texts = try fields.strings("identifier", max: 1024, maxCount: mostIdentifiers) {
            let name = fields.name("identifier")
            if texts.isEmpty { throw .field(name, "must not be empty") }
            for (i, text) in texts.enumerated() where !isStored {
                if let problem = IdentifierText.problem(text) { throw .field(isOne ? name : "\(name)[\(i)]", problem) }
            }
            match.identifiers = texts.map(IdentifierMatcher.canonical)
        }
        try fields.finish()
        return match
    }

    /// Refuses an endpoint that no request has: theirs are decoded, and have no query and no dot segments.
    private static func checkWritten(_ endpoint: String, _ field: String) throws(Problem) {
        let arena = ByteArena()
        let text = endpoint.withByteView { arena.copy($0) }
        let reduced = try EndpointPaths().normalize(text, field: field, in: arena).written.string
        if reduced != endpoint {
            throw .field(
                field, "never matches as it is written: paths are compared decoded and without a query: \(reduced)")
        }
    }

    private static func keyParts(_ words: [String], _ field: String) throws(Problem) -> [Rule.KeyPart] {
        var parts: [Rule.KeyPart] = []
        for word in words {
            guard let part = Rule.KeyPart(rawValue: word) else {
                let known = Rule.KeyPart.allCases.map(\.rawValue).joined(separator: ", ")
                throw .field(field, "must be made of \(known)")
            }
            if parts.contains(part) { throw .field(field, "names \(word) twice") }
            parts.append(part)
        }
        if parts.isEmpty { throw .field(field, "must not be empty") }
        if parts.contains(.global), parts.count > 1 { throw .field(field, "is either global or made of other parts") }
        return parts
    }
}

extension Strategy {
    /// Entries that one key of an exact log may hold.
    static let longestLog = 10_000
    /// Leases that one key may hold.
    static let mostLeases = 10_000

    /// Why the numbers cannot be computed with exactly, or nil.
    var inexactness: String? {
        let tooLarge = "and the window together are beyond exact arithmetic (2^53); choose a smaller limit or window"
        switch self {
        case .tokenBucket(_, _, let burst, _):
            let (rate, unit) = refill!
            let (units, overflow) = burst.multipliedReportingOverflow(by: unit)
            let isExact = !overflow && units <= RuleDraft.largestExact / 2 && rate <= RuleDraft.largestExact / 2
            return isExact ? nil : tooLarge
        case .slidingWindowCounter(let limit, let windowMs):
            let (units, overflow) = limit.multipliedReportingOverflow(by: windowMs * 1000)
            return overflow || units > RuleDraft.largestExact / 4 ? tooLarge : nil
        case .slidingWindow(let limit, _) where limit > Strategy.longestLog:
            return "must be at most \(Strategy.longestLog) for sliding_window, which remembers every request; "
                + "sliding_window_counter has no such bound"
        case .concurrency(let limit, _) where limit > Strategy.mostLeases:
            return "must be at most \(Strategy.mostLeases) for concurrency, which remembers every lease"
        case .fixedWindow, .quota, .slidingWindow, .concurrency: return nil
        }
    }

    /// A bucket's refill without fractions: `rate` units per µs, a token being `unit` units; nil for other strategies.
    var refill: (rate: Int, unit: Int)? {
        guard case .tokenBucket(let limit, let windowMs, _, _) = self else { return nil }
        var (a, b) = (limit, windowMs * 1000)
        while b != 0 { (a, b) = (b, a % b) }
        return (limit / a, windowMs * 1000 / a)
    }
}

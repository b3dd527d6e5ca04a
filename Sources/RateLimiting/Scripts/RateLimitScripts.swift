import Redis

/// The service's script texts, joined from the files in `lua/rate_limiting`.
enum RateLimitScripts {
    /// One rule: the strategy's own file, whose functions are the script's own, and the driver for many subjects under one
    /// rule.
    static let single: [StrategyName: Script] = Dictionary(
        uniqueKeysWithValues: StrategyName.allCases.map { name in
            let parameters = [UInt8]("local p = 3".utf8)
            let source = join([
                PackageResources.clock_lua, parameters, source(of: name), PackageResources.check_one_lua,
            ])
            return (name, Script(name: "check_one_\(name.rawValue)", source: source))
        })

    /// Several rules: all strategies and the driver that decides all before it commits any.
    static let composed = Script(name: "check_all", source: withAllStrategies(PackageResources.check_all_lua))
    static let refund = Script(name: "refund", source: draining(withAllStrategies(PackageResources.refund_lua)))
    static let leaseRenew = Script(name: "lease_renew", source: draining(withClock(PackageResources.lease_renew_lua)))
    static let leaseRelease = Script(
        name: "lease_release", source: draining(withClock(PackageResources.lease_release_lua)))
    static let rulesRead = Script(name: "rules_read", source: PackageResources.rules_read_lua)
    static let rulesPage = Script(name: "rules_page", source: PackageResources.rules_page_lua)
    static let rulesRestore = Script(name: "rules_restore", source: PackageResources.rules_restore_lua)
    static let rulesChange = Script(name: "rules_change", source: PackageResources.rules_change_lua)
    /// The same for what must go on when Redis has no memory left: deleting rules.
    static let rulesDrain = Script(name: "rules_drain", source: draining(PackageResources.rules_change_lua))

    static var all: [Script] {
        StrategyName.allCases.map { single[$0]! } + [
            composed, refund, leaseRenew, leaseRelease, rulesRead, rulesPage, rulesChange, rulesDrain,
            rulesRestore,
        ]
    }

    /// What gives back, or only keeps what is there, is done when Redis has no memory left as well.
    private static func draining(_ script: [UInt8]) -> [UInt8] {
        join([[UInt8]("#!lua flags=allow-oom".utf8), script])
    }

    private static func withClock(_ script: [UInt8]) -> [UInt8] { join([PackageResources.clock_lua, script]) }

    private static func withAllStrategies(_ driver: [UInt8]) -> [UInt8] {
        join([PackageResources.clock_lua] + StrategyName.allCases.map(maker) + [driver])
    }

    /// A strategy's file as a function that makes it for one rule, whose parameters begin at `p` in ARGV.
    private static func maker(of name: StrategyName) -> [UInt8] {
        let functions = "arity load take report life save refund".split(separator: " ").map { "\($0) = \($0)" }
        return join([
            [UInt8]("local function \(name.rawValue)(p)".utf8), source(of: name),
            [UInt8]("return {\(functions.joined(separator: ", "))}\nend".utf8),
        ])
    }

    private static func source(of name: StrategyName) -> [UInt8] {
        switch name {
        case .tokenBucket: PackageResources.token_bucket_lua
        case .slidingWindow: PackageResources.sliding_window_lua
        case .slidingWindowCounter: PackageResources.sliding_window_counter_lua
        case .fixedWindow: PackageResources.fixed_window_lua
        case .quota: PackageResources.quota_lua
        case .concurrency: PackageResources.concurrency_lua
        }
    }

    private static func join(_ parts: [[UInt8]]) -> [UInt8] { Array(parts.joined(separator: [UInt8(ascii: "\n")])) }
}

/// A rule as it is stored and shown: whom it is for, what it counts, how much it allows.
///
/// Made by `RuleParser` from JSON; a `Rule` that exists is valid.
public struct Rule: Sendable, Equatable {
    /// Part of every key the rule makes; fixed for life.
    public let id: String
    public var name: String
    /// Grows with every change of the rule; its ETag.
    public var version: Int
    /// The revision of the rule set at which counting last began anew; part of every key.
    public var generation: Int
    public var isEnabled: Bool
    public var mode: Mode
    public var group: String
    public var effect: Effect
    public var match: Match
    public var per: [KeyPart]
    public var onStoreFailure: StoreFailure
    /// The source's `burst`, kept for strategies where it has no effect.
    public var idleBurst: Int?
    /// Microseconds since the epoch, by Redis's clock.
    public var createdAtUs: Int64
    public var updatedAtUs: Int64

    public enum Mode: String, Sendable, CaseIterable {
        case enforce
        /// Counts and reports what it would refuse, and refuses nothing.
        case shadow
    }

    public enum Effect: Sendable, Equatable {
        case limit(Strategy)
        /// Lifts the rule's own group for whom it matches.
        case unlimited
        /// Lets pass whatever other rules say.
        case allow
        /// Refuses whatever other rules say.
        case deny
    }

    /// What a key is made of.
    public enum KeyPart: String, Sendable, CaseIterable {
        case identifier, ip, endpoint, method, tier, global
    }

    /// What happens to a decision when Redis does not answer in time.
    public enum StoreFailure: String, Sendable, CaseIterable {
        case allow, deny
        /// Each replica enforces its share of the limit from memory.
        case local
    }

    /// The requests a rule is for; nil means any.
    public struct Match: Sendable, Equatable {
        public var endpoint: String?
        public var method: String?
        public var identifiers: [String]?
        public var tier: String?
        /// Whether paths are told apart by case and by a slash at the end.
        public var isExact: Bool

        public static let everything = Match()

        public init(
            endpoint: String? = nil, method: String? = nil, identifiers: [String]? = nil, tier: String? = nil,
            isExact: Bool = false
        ) {
            self.endpoint = endpoint
            self.method = method
            self.identifiers = identifiers
            self.tier = tier
            self.isExact = isExact
        }
    }

    public var strategy: Strategy? {
        if case .limit(let strategy) = effect { strategy } else { nil }
    }

    /// Whether counters made under `other` go on under this rule.
    func continues(_ other: Rule) -> Bool {
        guard per == other.per else { return false }
        switch (effect, other.effect) {
        case (.limit(let mine), .limit(let theirs)): return mine.continues(theirs)
        case (.limit, _), (_, .limit): return false
        default: return true
        }
    }

    /// The group whose rules guard Quartermaster's own API, and nothing else; `quartermaster:…` groups as well.
    static let ownGroup = "quartermaster"

    var guardsOwnAPI: Bool { Rule.guardsOwnAPI(group) }

    static func guardsOwnAPI(_ group: String) -> Bool { group == ownGroup || group.hasPrefix(ownGroup + ":") }
}

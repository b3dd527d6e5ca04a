import Services
import Synchronization

/// What a process knows of the rules: one snapshot, which all of its loops share.
final class RuleLibrary: Sendable {
    private struct Known {
        var rules: RuleSet?
        var tokenRules: [Rule] = []
    }

    private let known = Mutex(Known())

    /// The latest snapshot; nil before the rules were first read.
    var rules: RuleSet? { known.withLock { $0.rules } }

    /// The rates of tokens, which every snapshot from now on has beside the rules.
    var tokenRules: [Rule] {
        get { known.withLock { $0.tokenRules } }
        set { known.withLock { $0.tokenRules = newValue } }
    }

    /// Takes a snapshot that was made after `base`, unless another loop has brought one that is as new.
    /// - Parameter evenOlder: takes it in any case: the rules in Redis went back.
    /// - Returns: the snapshot that holds now.
    func offer(_ rules: RuleSet, after base: RuleSet?, evenOlder: Bool = false) -> RuleSet {
        known.withLock { known in
            if let held = known.rules, held !== base, held.revision >= rules.revision, !evenOlder { return held }
            known.rules = rules
            return rules
        }
    }
}

/// The rules in Redis went back, or some are gone, and no change says so: Redis has lost data, or somebody deleted them by
/// hand.
struct RulesLost: Error {
    /// The revision that was known.
    let known: Int
    /// How many rules there still are.
    let found: Int
}

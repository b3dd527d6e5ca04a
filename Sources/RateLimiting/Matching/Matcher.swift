import Bytes

/// What the rules say about a request before anything is counted.
enum MatchResult {
    case noRule
    /// The rule that lets it pass.
    case allowListed(CompiledRule)
    /// The rule that refuses it.
    case denyListed(CompiledRule)
    case limits(PolicySet)
}

/// The rules that decide one kind of request together: enforcing ones first, then shadow ones.
///
/// There is one object per combination and loop, so that checks under the same rules are recognised by identity.
final class PolicySet {
    let rules: [CompiledRule]
    let enforcingCount: Int

    /// How decisions under a single rule read.
    private(set) lazy var templates = DecisionTemplates(self)

    /// Whether an admission takes a lease.
    let takesLeases: Bool

    init(rules: [CompiledRule], enforcingCount: Int) {
        self.rules = rules
        self.enforcingCount = enforcingCount
        takesLeases = rules.contains { if case .concurrency? = $0.strategy { true } else { false } }
    }

    /// Requests that one script call may carry, so that a call makes at most 100 decisions.
    var mostRequestsPerCall: Int { max(1, 100 / rules.count) }

    var isSingle: Bool { rules.count == 1 }

    func isEnforcing(_ index: Int) -> Bool { index < enforcingCount }
}

/// Finds the rules for a request: deny lists first, then allow lists, then in each group the most specific limit, chosen
/// apart among enforcing and shadow rules. One per loop and snapshot.
final class Matcher {
    private struct Winner {
        var group: Int32
        var isShadow: Bool
        var specificity: Int
        /// The rule's place among the compiled ones; a reference would have to be counted.
        var rule: Int32
        var isUnlimited: Bool
    }

    let rules: RuleSet
    /// The rules' groups as numbers.
    private let groups: [Int32]
    private var winners: [Winner] = []
    private var indices: [Int32] = []
    private var singles: [PolicySet?]
    private var combinations = ByteTable<PolicySet>()

    /// Combinations remembered before they are forgotten and made anew; far above what rules written by people have.
    private static let mostCombinations = 10_000

    init(_ rules: RuleSet) {
        self.rules = rules
        var numbers: [String: Int32] = [:]
        groups = rules.compiled.map { rule in
            let number = numbers[rule.rule.group] ?? Int32(numbers.count)
            numbers[rule.rule.group] = number
            return number
        }
        singles = Array(repeating: nil, count: rules.compiled.count)
    }

    func match(_ request: CheckRequest) -> MatchResult {
        winners.removeAll(keepingCapacity: true)
        var allowing: CompiledRule?
        var denying: CompiledRule?
        rules.forEachMatch(request) { rule, specificity in
            switch rule.effect {
            case .limit, .unlimited: contend(rule, specificity)
            case .allow: if !rule.isShadow, allowing == nil { allowing = rule }
            case .deny: if !rule.isShadow, denying == nil { denying = rule }
            }
        }
        if let denying { return .denyListed(denying) }
        if let allowing { return .allowListed(allowing) }
        return limits()
    }

    private func contend(_ rule: CompiledRule, _ specificity: Int) {
        let group = groups[Int(rule.index)]
        let isShadow = rule.isShadow
        for i in winners.indices where winners[i].group == group && winners[i].isShadow == isShadow {
            let isBetter =
                specificity > winners[i].specificity
                || (specificity == winners[i].specificity && rule.index < winners[i].rule)
            if isBetter {
                winners[i].specificity = specificity
                winners[i].rule = rule.index
                winners[i].isUnlimited = rule.effect == .unlimited
            }
            return
        }
        winners.append(
            Winner(
                group: group, isShadow: isShadow, specificity: specificity, rule: rule.index,
                isUnlimited: rule.effect == .unlimited))
    }

    private func limits() -> MatchResult {
        if winners.count > 1 {
            winners.sort { ($0.isShadow ? 1 : 0, $0.rule) < ($1.isShadow ? 1 : 0, $1.rule) }
        }
        indices.removeAll(keepingCapacity: true)
        var enforcingCount = 0
        for winner in winners where !winner.isUnlimited {
            indices.append(winner.rule)
            if !winner.isShadow { enforcingCount += 1 }
        }
        switch indices.count {
        case 0: return .noRule
        case 1: return .limits(single(indices[0], enforcingCount))
        default: return .limits(combination(enforcingCount))
        }
    }

    private func single(_ index: Int32, _ enforcingCount: Int) -> PolicySet {
        if let known = singles[Int(index)] { return known }
        let made = PolicySet(rules: [rules.compiled[Int(index)]], enforcingCount: enforcingCount)
        singles[Int(index)] = made
        return made
    }

    private func combination(_ enforcingCount: Int) -> PolicySet {
        let key = indices.withUnsafeBytes { ByteView($0.assumingMemoryBound(to: UInt8.self)) }
        if let known = combinations[key] { return known }
        if combinations.count >= Matcher.mostCombinations { combinations = ByteTable() }
        let made = PolicySet(rules: indices.map { rules.compiled[Int($0)] }, enforcingCount: enforcingCount)
        combinations[key.array, default: made] = made
        return made
    }
}

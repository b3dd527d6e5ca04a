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

/// Finds the rules for a request: deny lists first, then allow lists, then in each group the most specific limit, chosen
/// apart among enforcing and shadow rules. One per loop and snapshot.
final class Matcher {
    private struct Winner {
        var group: Int32
        var isShadow: Bool
        var specificity: Int
        /// The rule's place among the compiled ones.
        var rule: Int32
        var isUnlimited: Bool
    }

    /// What matching must know of a rule, as plain values: the rules themselves are shared by all loops, and counting
    /// references to them would cost more than matching.
    private struct Candidate {
        let group: Int32
        let effect: Effect
        let isShadow: Bool
        let guardsOwnAPI: Bool
        let isConditional: Bool
        let takesLease: Bool
        let specificity: Int
    }

    private enum Effect { case limit, unlimited, allow, deny }

    let rules: RuleSet
    private let candidates: [Candidate]
    private var found: [Int32] = []
    private var winners: [Winner] = []
    private var indices: [Int32] = []
    private var singles: [PolicySet?]
    /// Whether the last request met a concurrency rule that was not asked, since nobody could release its lease.
    private(set) var skippedLeases = false
    private var combinations = ByteTable<PolicySet>()

    /// Combinations remembered before they are forgotten and made anew; far above what rules written by people have.
    private static let mostCombinations = 10_000

    init(_ rules: RuleSet) {
        self.rules = rules
        var numbers: [String: Int32] = [:]
        candidates = rules.compiled.map { rule in
            let group = numbers[rule.rule.group] ?? Int32(numbers.count)
            numbers[rule.rule.group] = group
            return Candidate(
                group: group, effect: Matcher.effect(rule.rule), isShadow: rule.rule.mode == .shadow,
                guardsOwnAPI: rule.rule.guardsOwnAPI, isConditional: rule.isConditional,
                takesLease: rule.takesLease, specificity: rule.fixedSpecificity)
        }
        singles = Array(repeating: nil, count: rules.compiled.count)
    }

    private static func effect(_ rule: Rule) -> Effect {
        switch rule.effect {
        case .limit: .limit
        case .unlimited: .unlimited
        case .allow: .allow
        case .deny: .deny
        }
    }

    func match(_ request: CheckRequest) -> MatchResult {
        winners.removeAll(keepingCapacity: true)
        found.removeAll(keepingCapacity: true)
        skippedLeases = false
        rules.find(endpoint: request.endpoint, &found)
        var allowing: Int32 = -1
        var denying: Int32 = -1
        for index in found {
            let candidate = candidates[Int(index)]
            if candidate.guardsOwnAPI != request.isOwnAPI { continue }
            var specificity = candidate.specificity
            if candidate.isConditional {
                guard let exact = rules.compiled[Int(index)].specificity(for: request) else { continue }
                specificity = exact
            }
            if candidate.takesLease, request.takesNoLeases {
                skippedLeases = true
                continue
            }
            switch candidate.effect {
            case .limit, .unlimited: contend(index, candidate, specificity)
            case .allow: if !candidate.isShadow, allowing < 0 { allowing = index }
            case .deny: if !candidate.isShadow, denying < 0 { denying = index }
            }
        }
        if denying >= 0 { return .denyListed(rules.compiled[Int(denying)]) }
        if allowing >= 0 { return .allowListed(rules.compiled[Int(allowing)]) }
        return limits()
    }

    private func contend(_ rule: Int32, _ candidate: Candidate, _ specificity: Int) {
        let isUnlimited = candidate.effect == .unlimited
        for i in winners.indices where winners[i].group == candidate.group && winners[i].isShadow == candidate.isShadow
        {
            let isBetter =
                specificity > winners[i].specificity
                || (specificity == winners[i].specificity && rule < winners[i].rule)
            if isBetter {
                winners[i].specificity = specificity
                winners[i].rule = rule
                winners[i].isUnlimited = isUnlimited
            }
            return
        }
        winners.append(
            Winner(
                group: candidate.group, isShadow: candidate.isShadow, specificity: specificity, rule: rule,
                isUnlimited: isUnlimited))
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

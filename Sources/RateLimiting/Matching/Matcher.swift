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
        let slot: Int
        let isShadow: Bool
        var specificity: Int
        /// The rule's place among the compiled ones.
        var rule: Int32
        var isUnlimited: Bool
    }

    let rules: RuleSet
    private var found: [Int32] = []
    private var hits: [IdentifierIndex.Hit] = []
    private var winners: [Winner] = []
    /// By group, enforcing before shadow: the place of its winner, -1 between two requests.
    private var winnerOf: [Int32]
    private var indices: [Int32] = []
    private var singles: [PolicySet?]
    /// Whether the last request met a concurrency rule that was not asked, since nobody could release its lease.
    private(set) var skippedLeases = false
    private var combinations = ByteTable<PolicySet>()

    /// Combinations remembered before they are forgotten and made anew; far above what rules written by people have.
    private static let mostCombinations = 10_000

    init(_ rules: RuleSet) {
        self.rules = rules
        singles = Array(repeating: nil, count: rules.compiled.count)
        winnerOf = Array(repeating: -1, count: rules.groupCount * 2)
    }

    func match(_ request: CheckRequest) -> MatchResult {
        for winner in winners { winnerOf[winner.slot] = -1 }
        winners.removeAll(keepingCapacity: true)
        found.removeAll(keepingCapacity: true)
        skippedLeases = false
        hits.removeAll(keepingCapacity: true)
        rules.find(request, &found, &hits)
        // Of several rules that let pass, or that refuse, the oldest is named.
        var allowing = Int32.max
        var denying = Int32.max
        for hit in hits {
            let candidate = rules.candidates[Int(hit.rule)]
            if candidate.guardsOwnAPI != request.isOwnAPI { continue }
            if candidate.isConditional, !rules.compiled[Int(hit.rule)].takes(request) { continue }
            if candidate.takesLease, request.takesNoLeases {
                skippedLeases = true
                continue
            }
            switch candidate.effect {
            case .limit, .unlimited: contend(hit.rule, candidate, Int(hit.rank) << 42 + candidate.specificity)
            case .allow: if !candidate.isShadow { allowing = min(allowing, hit.rule) }
            case .deny: if !candidate.isShadow { denying = min(denying, hit.rule) }
            }
        }
        if denying < .max { return .denyListed(rules.compiled[Int(denying)]) }
        if allowing < .max { return .allowListed(rules.compiled[Int(allowing)]) }
        return limits()
    }

    private func contend(_ rule: Int32, _ candidate: RuleCandidate, _ specificity: Int) {
        let isUnlimited = candidate.effect == .unlimited
        let slot = Int(candidate.group) * 2 + (candidate.isShadow ? 1 : 0)
        let held = Int(winnerOf[slot])
        guard held >= 0 else {
            winnerOf[slot] = Int32(winners.count)
            winners.append(
                Winner(
                    slot: slot, isShadow: candidate.isShadow, specificity: specificity, rule: rule,
                    isUnlimited: isUnlimited))
            return
        }
        if (specificity, winners[held].rule) > (winners[held].specificity, rule) {
            winners[held].specificity = specificity
            winners[held].rule = rule
            winners[held].isUnlimited = isUnlimited
        }
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

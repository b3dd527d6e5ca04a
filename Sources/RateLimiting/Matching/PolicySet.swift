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

    /// Whether the limit headers have room for all of the enforcing rules.
    let fitsHeaders: Bool

    /// By which subjects the rules count: those of one subject share a tag, and so a cluster's slot.
    let subjects: Subjects

    /// Whether these are some of a request's rules, which others decide about as well.
    let isPart: Bool

    private var parts: [Subjects: PolicyPart] = [:]

    init(rules: [CompiledRule], enforcingCount: Int, isPart: Bool = false) {
        self.rules = rules
        self.enforcingCount = enforcingCount
        self.isPart = isPart
        takesLeases = rules.contains { $0.takesLease }
        fitsHeaders = DecisionHeaders.holds(rules.prefix(enforcingCount))
        subjects = rules.reduce(into: []) { $0.insert(Subjects($1.subject)) }
    }

    /// Requests that one script call may carry, so that a call makes at most 100 decisions.
    var mostRequestsPerCall: Int { max(1, 100 / rules.count) }

    var isSingle: Bool { rules.count == 1 }

    func isEnforcing(_ index: Int) -> Bool { index < enforcingCount }

    /// The rules that count by `subjects`; the same object each time. There are as many as there are subsets of six.
    func part(_ subjects: Subjects) -> PolicyPart {
        if let known = parts[subjects] { return known }
        let indices = rules.indices.filter { subjects.contains(Subjects(rules[$0].subject)) }
        let made = PolicyPart(
            policies: PolicySet(
                rules: indices.map { rules[$0] }, enforcingCount: indices.count { $0 < enforcingCount }, isPart: true),
            indices: indices)
        parts[subjects] = made
        return made
    }
}

/// Some rules of a policy set, and their places in it.
final class PolicyPart {
    let policies: PolicySet
    let indices: [Int]

    init(policies: PolicySet, indices: [Int]) {
        self.policies = policies
        self.indices = indices
    }
}

/// Who or what rules count by, as a set; in order from the narrowest to the widest.
struct Subjects: OptionSet, Hashable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ part: Rule.KeyPart) {
        rawValue =
            switch part {
            case .identifier: 1
            case .ip: 2
            case .endpoint: 4
            case .method: 8
            case .tier: 16
            case .global: 32
            }
    }

    /// Whether there is at most one.
    var isSingle: Bool { rawValue & (rawValue &- 1) == 0 }
}

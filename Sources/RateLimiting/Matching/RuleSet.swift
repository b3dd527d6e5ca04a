import Bytes
import Digests
import Services
import Synchronization

/// All rules at one revision, compiled: an immutable snapshot that all loops share and replace whole.
///
/// Making one takes long where there are thousands of rules, so it is made off the loops (`RuleStore.read`).
final class RuleSet: Sendable {
    /// Grows with every change; 0 before the first rule.
    let revision: Int
    /// The id of the last entry of the change stream that this snapshot includes.
    let lastChange: String
    /// What is stored, by id: also what cannot be read.
    let stored: [String: StoredRule]
    /// What they take as JSON.
    let storedBytes: Int
    /// In order of creation, disabled ones included.
    let rules: [Rule]
    /// Rules that are stored nowhere: the rates of tokens. They bind and are not shown.
    let tokenRules: [Rule]
    let compiled: [CompiledRule]
    /// What matching must know of each compiled rule.
    let candidates: [RuleCandidate]
    let groupCount: Int
    /// Whether any rule guards our own API; without one, that check costs nothing.
    let guardsOwnAPI: Bool
    /// Whether any limit counts by the client's address.
    let countsByAddress: Bool
    private let endpoints: EndpointIndex
    private let identifiers: IdentifierIndex
    private let byID: [String: Int]
    private let byName: [String: Int]
    private let compiledByID: [String: Int]
    private let seenAtUs: Atomic<Int64>

    static let empty = RuleSet(revision: 0, lastChange: "0-0", rules: [])

    /// - Parameter old: a snapshot whose compiled rules serve again where the rules are the same.
    init(
        revision: Int, lastChange: String, readAtUs: Int64 = 0, storedBytes: Int = 0, rules: [Rule],
        tokenRules: [Rule] = [], stored: [String: StoredRule] = [:], after old: RuleSet? = nil
    ) {
        self.revision = revision
        self.lastChange = lastChange
        self.stored = stored
        self.storedBytes = storedBytes
        seenAtUs = Atomic(readAtUs)
        self.rules = rules.sorted { ($0.createdAtUs, $0.generation, $0.id) < ($1.createdAtUs, $1.generation, $1.id) }
        self.tokenRules = tokenRules
        byID = Dictionary(self.rules.enumerated().map { ($1.id, $0) }) { first, _ in first }
        byName = Dictionary(self.rules.enumerated().map { ($1.name, $0) }) { first, _ in first }
        var made = Making()
        for rule in self.rules + tokenRules where rule.isEnabled { made.add(rule, old?.compiledRule(id: rule.id)) }
        compiled = made.compiled
        candidates = made.candidates
        groupCount = made.groups.count
        endpoints = made.endpoints
        identifiers = made.identifiers
        compiledByID = Dictionary(made.compiled.enumerated().map { ($1.rule.id, $0) }) { first, _ in first }
        guardsOwnAPI = made.candidates.contains { $0.guardsOwnAPI }
        countsByAddress = made.candidates.contains { $0.countsByAddress }
    }

    /// The same rules with other rates of tokens beside them.
    func with(tokenRules: [Rule]) -> RuleSet {
        if tokenRules == self.tokenRules { return self }
        return RuleSet(
            revision: revision, lastChange: lastChange, readAtUs: readAtUs, storedBytes: storedBytes, rules: rules,
            tokenRules: tokenRules, stored: stored, after: self)
    }

    /// When Redis last said that these are the rules, µs by its clock.
    var readAtUs: Int64 { seenAtUs.load(ordering: .relaxed) }

    func seen(atUs us: Int64) { seenAtUs.store(us, ordering: .relaxed) }

    func rule(id: String) -> Rule? { byID[id].map { rules[$0] } }

    func rule(named name: String) -> Rule? { byName[name].map { rules[$0] } }

    func compiledRule(id: String) -> CompiledRule? { compiledByID[id].map { compiled[$0] } }

    /// Appends the compiled rules that are for a request's endpoint and identity.
    /// - Parameter found: room for the endpoint patterns that match, empty.
    func find(_ request: CheckRequest, _ found: inout [Int32], _ hits: inout [IdentifierIndex.Hit]) {
        endpoints.find(request.endpoint.folded, &found)
        identifiers.find(found, request, &hits)
    }

    /// The parts that grow with each rule.
    private struct Making {
        var compiled: [CompiledRule] = []
        var candidates: [RuleCandidate] = []
        var endpoints = EndpointIndex()
        var identifiers = IdentifierIndex()
        var groups: [String: Int32] = [:]
        private var places: [EndpointPattern?: Int32] = [:]

        mutating func add(_ rule: Rule, _ known: CompiledRule?) {
            let index = Int32(compiled.count)
            let made: CompiledRule =
                if let known, known.rule == rule {
                    known.index == index ? known : CompiledRule(known, index: index)
                } else {
                    CompiledRule(rule, index: index)
                }
            compiled.append(made)
            let group = groups[rule.group] ?? Int32(groups.count)
            groups[rule.group] = group
            candidates.append(RuleCandidate(made, group: group))
            identifiers.insert(index, at: place(of: rule), identifiers: rule.match.identifiers)
        }

        /// Rules for the same endpoints share a place, which the tree of endpoints leads to.
        private mutating func place(of rule: Rule) -> Int32 {
            let pattern = rule.match.endpoint.flatMap { EndpointPattern($0)?.folded }
            if let known = places[pattern] { return known }
            let place = identifiers.addPlace()
            endpoints.insert(pattern, rule: place)
            places[pattern] = place
            return place
        }
    }
}

/// A rule as it is stored: how much it takes, and what tells whether it has changed.
struct StoredRule: Sendable, Equatable {
    let bytes: Int
    let digest: KeyedHash.Value
}

/// What matching must know of a rule, as plain values: the rules themselves are shared by all loops, and counting
/// references to them would cost more than matching.
struct RuleCandidate: Sendable {
    enum Effect { case limit, unlimited, allow, deny }

    let group: Int32
    let effect: Effect
    let isShadow: Bool
    let guardsOwnAPI: Bool
    let isConditional: Bool
    let takesLease: Bool
    let countsByAddress: Bool
    let specificity: Int

    init(_ rule: CompiledRule, group: Int32) {
        self.group = group
        effect =
            switch rule.rule.effect {
            case .limit: .limit
            case .unlimited: .unlimited
            case .allow: .allow
            case .deny: .deny
            }
        isShadow = rule.rule.mode == .shadow
        guardsOwnAPI = rule.rule.guardsOwnAPI
        isConditional = rule.isConditional
        takesLease = rule.takesLease
        countsByAddress = rule.strategy != nil && rule.rule.per.contains(.ip)
        specificity = rule.fixedSpecificity
    }
}

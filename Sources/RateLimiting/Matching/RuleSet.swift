import Bytes

/// All rules at one revision, compiled: an immutable snapshot that every loop holds and replaces whole.
final class RuleSet: Sendable {
    /// Grows by one with every change; 0 before the first rule.
    let revision: Int
    /// The id of the last entry of the change stream that this snapshot includes.
    let lastChange: String
    /// In order of creation, disabled ones included.
    let rules: [Rule]
    let compiled: [CompiledRule]
    /// Whether any rule guards our own API; without one, that check costs nothing.
    let guardsOwnAPI: Bool
    private let endpoints: EndpointIndex
    private let matchable: [Unmanaged<CompiledRule>]
    private let byID: [String: Rule]

    static let empty = RuleSet(revision: 0, lastChange: "0-0", rules: [])

    init(revision: Int, lastChange: String, rules: [Rule]) {
        self.revision = revision
        self.lastChange = lastChange
        self.rules = rules.sorted { ($0.createdAtUs, $0.generation, $0.id) < ($1.createdAtUs, $1.generation, $1.id) }
        byID = Dictionary(uniqueKeysWithValues: rules.map { ($0.id, $0) })
        var endpoints = EndpointIndex()
        var compiled: [CompiledRule] = []
        for rule in self.rules where rule.isEnabled {
            let index = Int32(compiled.count)
            compiled.append(CompiledRule(rule, index: index))
            endpoints.insert(rule.match.endpoint.flatMap { EndpointPattern($0) }, rule: index)
        }
        self.compiled = compiled
        matchable = compiled.map { .passUnretained($0) }
        self.endpoints = endpoints
        guardsOwnAPI = compiled.contains { $0.guardsOwnAPI }
    }

    func rule(id: String) -> Rule? { byID[id] }

    func rule(named name: String) -> Rule? { rules.first { $0.name == name } }

    func compiledRule(id: String) -> CompiledRule? { compiled.first { $0.rule.id == id } }

    /// Calls `body` with every enabled rule that matches the request, and how specifically it does.
    func forEachMatch(_ request: CheckRequest, _ body: (CompiledRule, _ specificity: Int) -> Void) {
        endpoints.forEachMatch(request.endpoint) { index in
            // Without a count of references: the rules are shared by all loops, and live as long as this set.
            matchable[Int(index)]._withUnsafeGuaranteedRef { rule in
                if rule.guardsOwnAPI != request.isOwnAPI { return }
                if let method = rule.method, !method.withByteView({ $0 == request.method }) { return }
                if let tier = rule.tier, !tier.withByteView({ $0 == request.tier }) { return }
                guard let identifiers = rule.identifiers else { return body(rule, rule.fixedSpecificity) }
                if let rank = identifiers.rank(request) { body(rule, rule.specificity(identifierRank: rank)) }
            }
        }
    }
}

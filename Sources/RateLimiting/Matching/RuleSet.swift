import Bytes

/// All rules at one revision, compiled: an immutable snapshot that every loop holds and replaces whole.
final class RuleSet: Sendable {
    /// Grows by one with every change; 0 before the first rule.
    let revision: Int
    /// The id of the last entry of the change stream that this snapshot includes.
    let lastChange: String
    /// When it was read, µs by Redis's clock.
    let readAtUs: Int64
    /// What they take as JSON.
    let storedBytes: Int
    /// In order of creation, disabled ones included.
    let rules: [Rule]
    /// Rules that are stored nowhere: the rates of tokens. They bind and are not shown.
    let tokenRules: [Rule]
    let compiled: [CompiledRule]
    /// Whether any rule guards our own API; without one, that check costs nothing.
    let guardsOwnAPI: Bool
    /// Whether any limit counts by the client's address.
    let countsByAddress: Bool
    /// Whether limits count by different subjects, so that one request may touch several slots of a cluster.
    let mixesSubjects: Bool
    private let endpoints: EndpointIndex
    private let byID: [String: Rule]

    static let empty = RuleSet(revision: 0, lastChange: "0-0", rules: [])

    init(
        revision: Int, lastChange: String, readAtUs: Int64 = 0, storedBytes: Int = 0, rules: [Rule],
        tokenRules: [Rule] = []
    ) {
        self.revision = revision
        self.lastChange = lastChange
        self.readAtUs = readAtUs
        self.storedBytes = storedBytes
        self.rules = rules.sorted { ($0.createdAtUs, $0.generation, $0.id) < ($1.createdAtUs, $1.generation, $1.id) }
        self.tokenRules = tokenRules
        byID = Dictionary(uniqueKeysWithValues: rules.map { ($0.id, $0) })
        var endpoints = EndpointIndex()
        var compiled: [CompiledRule] = []
        for rule in self.rules + tokenRules where rule.isEnabled {
            let index = Int32(compiled.count)
            compiled.append(CompiledRule(rule, index: index))
            endpoints.insert(rule.match.endpoint.flatMap { EndpointPattern($0)?.folded }, rule: index)
        }
        self.compiled = compiled
        self.endpoints = endpoints
        mixesSubjects = Set(compiled.filter { $0.strategy != nil }.map(\.subject)).count > 1
        countsByAddress = compiled.contains { $0.strategy != nil && $0.rule.per.contains(.ip) }
        guardsOwnAPI = compiled.contains { $0.rule.guardsOwnAPI }
    }

    /// The same rules with other rates of tokens beside them.
    func with(tokenRules: [Rule]) -> RuleSet {
        if tokenRules == self.tokenRules { return self }
        return RuleSet(
            revision: revision, lastChange: lastChange, readAtUs: readAtUs, storedBytes: storedBytes, rules: rules,
            tokenRules: tokenRules)
    }

    func rule(id: String) -> Rule? { byID[id] }

    func rule(named name: String) -> Rule? { rules.first { $0.name == name } }

    func compiledRule(id: String) -> CompiledRule? { compiled.first { $0.rule.id == id } }

    /// Appends the indices of the compiled rules that are for an endpoint.
    func find(endpoint: Endpoint, _ found: inout [Int32]) { endpoints.find(endpoint.folded, &found) }
}

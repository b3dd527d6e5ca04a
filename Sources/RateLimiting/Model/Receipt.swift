import Services

/// Names one decision, so that exactly its cost can be given back, once: `<moment>-<cost>-<rule>:<generation>,…`, and
/// `<rule>:<generation>:<moment>` for a rule that another node decided on, by its own clock. A moment is `<time µs>`, with
/// `.<place>` for a further request of one call.
struct Receipt: Equatable {
    struct Part {
        let id: String
        let generation: Int
        let moment: Moment
    }

    private let moment: Moment
    let cost: Int
    /// The rules that counted the request, by id, with the generation they were at and the time at which they did.
    let rules: [Part]

    /// nil when nothing was consumed.
    init?(_ decision: Decision, cost: Int) {
        guard decision.isAllowed, decision.hasOutcomes, let policies = decision.policies, let moment = decision.moment
        else { return nil }
        self.moment = moment
        self.cost = cost
        rules = policies.rules.enumerated().compactMap { i, rule in
            guard decision.outcome(i).verdict == .allowed else { return nil }
            return Part(
                id: rule.rule.id, generation: rule.rule.generation, moment: decision.moment(ofRule: i) ?? moment)
        }
        // Shadow rules alone, and none of them counted it.
        if rules.isEmpty { return nil }
    }

    /// Reads a receipt that a client brings back.
    init(text: String) throws(Problem) {
        let malformed = Problem.field("receipt", "is not one that was given out")
        let parts = text.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let moment = Moment(text: parts[0]), let cost = Int(parts[1]),
            (1...CheckRequest.largestCost).contains(cost)
        else { throw malformed }
        self.moment = moment
        self.cost = cost
        var rules: [Part] = []
        for part in parts[2].split(separator: ",") {
            let words = part.split(separator: ":", omittingEmptySubsequences: false)
            guard (2...3).contains(words.count), !words[0].isEmpty, let generation = Int(words[1]) else {
                throw malformed
            }
            guard let own = words.count == 3 ? Moment(text: words[2]) : moment else { throw malformed }
            rules.append(Part(id: String(words[0]), generation: generation, moment: own))
        }
        if rules.isEmpty { throw malformed }
        self.rules = rules
    }

    /// What it says about a rule; nil if the rule did not count the request, or counts otherwise by now.
    func part(of rule: Rule) -> Part? { rules.first { $0.id == rule.id && $0.generation == rule.generation } }

    var text: String {
        let parts = rules.map { "\($0.id):\($0.generation)" + ($0.moment == moment ? "" : ":\($0.moment.text)") }
        return "\(moment.text)-\(cost)-" + parts.joined(separator: ",")
    }

    static func == (left: Receipt, right: Receipt) -> Bool { left.text == right.text }
}

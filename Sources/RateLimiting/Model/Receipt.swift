import Services

/// Names one decision, so that exactly its cost can be given back: `<time µs>-<cost>-<rule>:<generation>,…`.
struct Receipt: Equatable {
    let nowUs: Int
    let cost: Int
    /// The rules that counted the request, by id, with the generation they were at.
    let rules: [(id: String, generation: Int)]

    /// nil when nothing was consumed.
    init?(_ decision: Decision, cost: Int) {
        guard decision.isAllowed, decision.hasOutcomes, let policies = decision.policies, let nowUs = decision.nowUs
        else { return nil }
        self.nowUs = nowUs
        self.cost = cost
        rules = policies.rules.enumerated().compactMap { i, rule in
            decision.outcome(i).verdict == .allowed ? (rule.rule.id, rule.rule.generation) : nil
        }
        // Shadow rules alone, and none of them counted it.
        if rules.isEmpty { return nil }
    }

    /// Reads a receipt that a client brings back.
    init(text: String) throws(Problem) {
        let malformed = Problem.field("receipt", "is not one that was given out")
        let parts = text.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let nowUs = Int(parts[0]), let cost = Int(parts[1]), nowUs > 0,
            (1...CheckRequest.largestCost).contains(cost)
        else { throw malformed }
        self.nowUs = nowUs
        self.cost = cost
        var rules: [(String, Int)] = []
        for part in parts[2].split(separator: ",") {
            let pair = part.split(separator: ":")
            guard pair.count == 2, let generation = Int(pair[1]) else { throw malformed }
            rules.append((String(pair[0]), generation))
        }
        if rules.isEmpty { throw malformed }
        self.rules = rules
    }

    var text: String {
        "\(nowUs)-\(cost)-" + rules.map { "\($0.id):\($0.generation)" }.joined(separator: ",")
    }

    static func == (left: Receipt, right: Receipt) -> Bool { left.text == right.text }
}

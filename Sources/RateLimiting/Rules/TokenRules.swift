import Services

/// The rates that the tokens file gives to names, as rules on our own API: all replicas count together, in Redis, and each
/// its share while Redis is away.
enum TokenRules {
    /// A group of their own, so that a name's rate holds beside whatever rules of ours there are.
    private static let group = Rule.ownGroup + ":token-rates"

    static func of(_ tokens: Tokens) -> [Rule] {
        tokens.rates.map { rate in
            Rule(
                // Another unit is another window, which cannot go on with the same counter. No stored rule's id has a colon.
                id: "token-rate:\(rate.unit.rawValue)", name: "the rate of \(rate.name)", version: 1, generation: 1,
                isEnabled: true, mode: .enforce, group: group,
                effect: .limit(
                    .tokenBucket(
                        limit: rate.limit, windowMs: rate.unit.ms, burst: rate.limit, initial: rate.limit)),
                match: Rule.Match(identifiers: ["id:" + rate.name]), per: [.identifier], onStoreFailure: .local,
                idleBurst: nil, createdAtUs: 0, updatedAtUs: 0)
        }
    }
}

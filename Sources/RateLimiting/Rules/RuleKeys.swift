import Services

/// Where the rules are.
struct RuleKeys {
    let rules, revision, changes, applied: String
    /// Publishes each new revision.
    let channel: String
    /// Publishes keys whose remembered refusals no longer hold, one per line.
    let dropChannel: String
    private let recordStart: String

    init(prefix: String) {
        let base = prefix + "ratelimit:{rules}:"
        rules = base + "rules"
        revision = base + "revision"
        changes = base + "changes"
        applied = base + "applied"
        channel = base + "revision"
        dropChannel = base + "drop"
        recordStart = prefix + "idem:{rules}:"
    }

    /// Where the answer under an idempotency key is kept.
    func record(_ key: IdempotencyKey?) -> String { recordStart + (key?.name ?? "none") }
}

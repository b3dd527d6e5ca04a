import Bytes
import EventLoops
import JSON
import Redis
import Services

/// The rules in Redis: reading what has changed, and changing some in one atomic step.
///
/// Keys: `ratelimit:{rules}:rules` (hash: rule id → rule as JSON), `…:revision` (integer, one more with every change),
/// `…:changes` (stream of changes, trimmed), `…:applied` (hash: digest of a rule file → when it was applied).
final class RuleStore {
    static let mostRules = 10_000
    /// All rules together, as JSON.
    static let mostBytes = 64 << 20
    static let changesKept = 1000
    /// What each of many rules, read or changed in one step, may take longer, with time to spare.
    static let ruleUs: Int64 = 500
    /// From how many changes on a step is put together off the loop.
    private static let manyChanges = 32
    /// How long a change tries against others.
    static let patienceUs: Int64 = 10_000_000

    let context: ServiceContext
    let keys: RuleKeys
    /// What this process knows of the rules.
    let library: RuleLibrary

    init(context: ServiceContext, library: RuleLibrary = RuleLibrary()) {
        self.context = context
        self.library = library
        keys = RuleKeys(prefix: context.process.prefix)
    }

    /// One step of a change.
    enum Change: Sendable {
        case put(Rule)
        case delete(id: String)
    }

    /// What a change comes to, decided against one state of the rules.
    struct Plan<Result> {
        var changes: [Change]
        var result: Result
        /// The answer to record under the request's idempotency key.
        var answer: String?

        init(_ changes: [Change], _ result: Result, answer: String? = nil) {
            self.changes = changes
            self.result = result
            self.answer = answer
        }
    }

    enum Outcome<Result> {
        /// Done; the rules are at this revision now.
        case changed(Result, revision: Int)
        /// This file's content had been applied before; nothing was done.
        case alreadyApplied
        /// The idempotency key's earlier answer; nothing was done.
        case answeredBefore(record: String)
    }

    /// Makes the changes that `plan` decides on, all or none, at the state of the rules it decided on; plans again when
    /// somebody else was faster.
    /// - Parameters:
    ///   - digest: of the rule file the changes come from, so that each content is applied once.
    ///   - key: the request's idempotency key.
    func change<Result>(
        digest: String? = nil, under key: IdempotencyKey? = nil, _ plan: (RuleSet) async throws -> Plan<Result>
    ) async throws -> Outcome<Result> {
        let untilUs = context.loop.nowUs + RuleStore.patienceUs
        var attempts: Int64 = 0
        while context.loop.nowUs < untilUs {
            // Of many that change at once one gets through at a time; those that come apart get in each other's way less.
            if attempts > 0 { await context.loop.sleep(us: .random(in: 0...min(attempts * 2000, 50_000))) }
            attempts += 1
            let rules = try await read()
            let recordKey = keys.record(key)
            if key != nil,
                let record = try await context.redis.send(["GET", recordKey], key: recordKey, budgetUs: 1_000_000)
                    .string
            {
                return .answeredBefore(record: record)
            }
            let plan = try await plan(rules)
            let words = try await words(plan.changes, in: rules)
            if plan.changes.isEmpty, digest == nil { return .changed(plan.result, revision: rules.revision) }
            let reply = try await apply(
                plan.changes, words, at: rules.revision, digest: digest, recordKey: recordKey, plan.answer)
            switch reply.word {
            case "changed": return .changed(plan.result, revision: reply.revision)
            case "already-applied": return .alreadyApplied
            default: continue
            }
        }
        throw Problem(.unavailable, "the rules are being changed by many at once", retryAfterS: 1)
    }

    /// Refuses changes that make the rules grow beyond `most` bytes.
    static func checkSize(_ changes: [Change], in rules: RuleSet, most: Int = mostBytes) throws(Problem) {
        var growth = 0
        for change in changes {
            guard case .put(let rule) = change else { continue }
            growth += rule.stored.text().utf8.count - (rules.rule(id: rule.id)?.stored.text().utf8.count ?? 0)
        }
        guard growth > 0, rules.storedBytes + growth > most else { return }
        throw Problem(.conflict, "the rules together would be larger than \(most) bytes, which is the most they can be")
    }

    /// The arguments that tell the script of changes, once they are known not to be too large.
    private func words(_ changes: [Change], in rules: RuleSet) async throws -> [String] {
        if changes.count < RuleStore.manyChanges { return try RuleStore.words(changes, in: rules) }
        return try await BlockingPool.computing.run { Result { try RuleStore.words(changes, in: rules) } }.get()
    }

    private static func words(_ changes: [Change], in rules: RuleSet) throws(Problem) -> [String] {
        try checkSize(changes, in: rules)
        return changes.flatMap { change in
            switch change {
            case .put(let rule): ["put", rule.id, rule.stored.text()]
            case .delete(let id): ["delete", id, ""]
            }
        }
    }

    private func apply(
        _ changes: [Change], _ words: [String], at revision: Int, digest: String?, recordKey: String, _ answer: String?
    ) async throws -> (word: String, revision: Int) {
        let arguments =
            [
                String(revision), keys.channel, String(RuleStore.changesKept), digest ?? "", answer ?? "",
                String(IdempotencyKey.keptMs),
            ] + words
        let grows = changes.contains { if case .put = $0 { true } else { false } }
        let reply = try await context.redis.run(
            grows || changes.isEmpty ? RateLimitScripts.rulesChange : RateLimitScripts.rulesDrain,
            keys: [keys.rules, keys.revision, keys.changes, keys.applied, recordKey], arguments: arguments,
            budgetUs: 1_000_000 + Int64(changes.count) * RuleStore.ruleUs)
        guard case .array(let parts) = reply, parts.count >= 2, let word = parts[0].string, let revision = parts[1].int
        else { throw RedisError.unexpectedReply("rules_change") }
        return (word, revision)
    }
}

extension RuleStore.Plan: Sendable where Result: Sendable {}

import EventLoops
import Redis
import Services
import Telemetry

/// What is done when Redis has lost rules: this process goes on by those that it knows until Redis has rules again.
///
/// Where Redis has none left (it was emptied, restarted without its data, or an empty replica took over) they are written
/// back as they were known here, versions and counters included: whatever was made through the API binds again. Where it
/// has some (an older state), those hold. In both cases the rule file, whose content Redis no longer knows as applied, is
/// applied again.
final class RuleLoss {
    /// Written back, the rules go on from a revision so far above the known one that no replica has seen it.
    private static let revisionGap = 1000

    private let store: RuleStore
    private let context: ServiceContext
    private let file: RuleFile?
    private let lost: Counter
    private var isTold = false
    /// Whether the rule file is still to be applied again.
    private var owesFile = false

    init(store: RuleStore, file: RuleFile?) {
        self.store = store
        self.file = file
        context = store.context
        lost = context.metrics.counter(
            "quartermaster_ratelimit_rules_lost_total", "Times that rules were gone from Redis and no change said so")
    }

    /// Brings Redis's rules and ours together.
    /// - Returns: the rules from now on; nil when that failed: then the known ones hold, and it is tried again.
    func mend(_ loss: RulesLost) async -> RuleSet? {
        tell(loss)
        do {
            if loss.found == 0, let known = store.library.rules, !known.stored.isEmpty { try await writeBack(known) }
            let rules = try await store.readUnlessLost(takesLoss: true)
            owesFile = file != nil
            return try await finish(rules)
        } catch {
            context.log.error("lost rules could not be written back", ["error": .string("\(error)")])
            return nil
        }
    }

    /// Does what a loss has left to do, once the rules could be read.
    /// - Returns: the rules from then on.
    func finish(_ rules: RuleSet) async throws -> RuleSet {
        isTold = false
        guard owesFile, let file else { return rules }
        try await file.apply(to: store)
        owesFile = false
        return try await store.readUnlessLost()
    }

    private func tell(_ loss: RulesLost) {
        guard !isTold else { return }
        isTold = true
        lost.increment()
        context.log.error(
            "redis has lost rules; limits go on by those known here",
            ["revision": .int(loss.known), "rulesFound": .int(loss.found)])
    }

    private func writeBack(_ known: RuleSet) async throws {
        let rules = known.rules
        let words = await BlockingPool.computing.run { rules.flatMap { [$0.id, $0.stored.text()] } }
        let reply = try await context.redis.run(
            RateLimitScripts.rulesRestore,
            keys: [store.keys.rules, store.keys.revision, store.keys.changes, store.keys.applied],
            arguments: [String(known.revision + RuleLoss.revisionGap), store.keys.channel, file?.digest ?? ""] + words,
            budgetUs: 1_000_000 + Int64(rules.count) * RuleStore.ruleUs)
        guard let word = reply.string else { throw RedisError.unexpectedReply("rules_restore") }
        if word == "restored" { context.log.info("rules written back to redis", ["rules": .int(rules.count)]) }
    }
}

import EventLoops
import Redis
import Telemetry

/// What one loop's limiter counts.
final class LimiterCounters {
    enum Result: String { case allowed, refused, wouldDeny = "would_deny" }

    let calls: Counter
    let coalesced: Counter
    let cachedDenials: Counter
    let clockResets: Counter
    let spread: Counter
    let givenBack: Counter
    let lostGiveBacks: Counter
    private let failures: Counter
    private let registry: MetricRegistry
    /// By the rules' indices.
    private var byRule: [RuleCounters?] = []
    private var lastLineUs: Int64 = 0

    init(_ registry: MetricRegistry) {
        self.registry = registry
        calls = registry.counter("quartermaster_ratelimit_calls_total", "Script calls for decisions")
        coalesced = registry.counter(
            "quartermaster_ratelimit_coalesced_total", "Checks that shared the call of another check of their key")
        cachedDenials = registry.counter(
            "quartermaster_ratelimit_cached_denials_total", "Checks refused from memory, without a call")
        clockResets = registry.counter(
            "quartermaster_ratelimit_clock_resets_total", "States found more than a second ahead of Redis's clock")
        spread = registry.counter(
            "quartermaster_ratelimit_spread_total", "Checks whose rules lay in several slots of a cluster")
        givenBack = registry.counter(
            "quartermaster_ratelimit_given_back_total",
            "Calls that gave back what a slot had consumed before another refused")
        lostGiveBacks = registry.counter(
            "quartermaster_ratelimit_lost_give_backs_total",
            "Of these, those that may not have happened: what was consumed counts until its window is over")
        failures = registry.counter(
            "quartermaster_ratelimit_store_failures_total", "Calls that Redis did not answer in time or refused")
    }

    func count(_ rule: CompiledRule, _ result: Result) {
        let slot = Int(rule.index)
        if slot < byRule.count, let held = byRule[slot], held.rule === rule { return held.count(result) }
        // Indices are given anew with each snapshot.
        if slot >= byRule.count { byRule += Array(repeating: nil, count: slot + 1 - byRule.count) }
        let made = RuleCounters(rule, registry)
        byRule[slot] = made
        made.count(result)
    }

    /// Counts a decision under each of its rules: a refusal where it was refused, an admission where it was admitted.
    func count(_ decision: Decision, _ policies: PolicySet, isPeek: Bool) {
        if isPeek { return }
        for (i, rule) in policies.rules.enumerated() {
            let isRefused = decision.outcome(i).verdict != .allowed
            if policies.isEnforcing(i) {
                if isRefused { count(rule, .refused) } else if decision.isAllowed { count(rule, .allowed) }
            } else if decision.isAllowed {
                count(rule, isRefused ? .wouldDeny : .allowed)
            }
        }
    }

    func failed(_ error: RedisError, _ log: Logger) {
        failures.increment()
        // A store that is away fails every call; a line a second tells as much as a thousand.
        let nowUs = MonotonicClock.nowUs()
        guard nowUs - lastLineUs >= 1_000_000 else { return }
        lastLineUs = nowUs
        log.warning("a decision was not made by redis", ["error": .string("\(error)")])
    }
}

/// The counters of one rule of a snapshot.
private final class RuleCounters {
    let rule: CompiledRule
    private let allowed, refused, wouldDeny: Counter

    init(_ rule: CompiledRule, _ registry: MetricRegistry) {
        self.rule = rule
        func counter(_ result: LimiterCounters.Result) -> Counter {
            registry.counter(
                "quartermaster_ratelimit_decisions_total", "Decisions by rule",
                labels: [("rule", rule.rule.id), ("result", result.rawValue)])
        }
        allowed = counter(.allowed)
        refused = counter(.refused)
        wouldDeny = counter(.wouldDeny)
    }

    func count(_ result: LimiterCounters.Result) {
        switch result {
        case .allowed: allowed.increment()
        case .refused: refused.increment()
        case .wouldDeny: wouldDeny.increment()
        }
    }
}

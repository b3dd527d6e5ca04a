import Bytes
import Services

/// Decides what Redis did not: by the failure mode of each rule.
struct FailureModes {
    let local: LocalLimits
    let replicas: ReplicaCount
    let keyBuilder: KeyBuilder

    /// Refused if any enforcing rule says deny or its local share is used up; else allowed, and said to be unchecked.
    /// - Parameter subject: the key of the request under the first rule, as the name of its shares.
    func decide(_ policies: PolicySet, cost: Int, subject: [UInt8], nowUs: Int64) -> Decision {
        for rule in policies.rules.prefix(policies.enforcingCount) {
            switch rule.rule.onStoreFailure {
            case .allow: continue
            case .deny:
                return Decision(isAllowed: false, reason: .storeUnavailable, decider: rule)
            case .local:
                guard let strategy = rule.strategy, let windowUs = strategy.localWindowUs else { continue }
                let outcome = local.take(
                    subject + rule.keySuffix, cost: cost, capacity: strategy.capacity, windowUs: windowUs,
                    replicas: replicas.value, nowUs: nowUs)
                if outcome.verdict != .allowed {
                    let policies = PolicySet(rules: [rule], enforcingCount: 1)
                    return Decision(
                        isAllowed: false,
                        reason: outcome.verdict == .exceeds ? .costExceedsLimit : .limitExceeded, policies: policies,
                        first: outcome, hasOutcomes: true, decider: rule)
                }
            }
        }
        return Decision(isAllowed: true, reason: .storeUnavailable)
    }
}

extension Strategy {
    /// The time over which a local share comes back; nil where a share in memory makes no sense.
    fileprivate var localWindowUs: Int? {
        switch self {
        case .quota(_, let period, _): period.nominalSeconds * 1_000_000
        case .concurrency: nil
        // A bucket's capacity comes back in as long as its refill takes.
        case .tokenBucket(let limit, let windowMs, let burst, _):
            Int(clamping: (Int128(windowMs) * 1000 * Int128(burst) + Int128(limit) - 1) / Int128(limit))
        default: windowMs! * 1000
        }
    }
}

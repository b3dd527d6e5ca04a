/// What one rule says about one request.
struct Outcome: Sendable, Equatable {
    enum Verdict: Sendable {
        case allowed
        /// Refused for now; `retryUs` says how long.
        case refused
        /// The cost is above the capacity: refused for good.
        case exceeds
        /// The key holds something that is no state of this rule.
        case broken
    }

    var verdict: Verdict
    /// What is left after the request.
    var remaining: Int
    /// Microseconds until the state is as if nothing had happened (bucket full, window over, lease free).
    var resetUs: Int
    /// Microseconds after which the same request is allowed if nobody else comes; 0 unless refused.
    var retryUs: Int

    static let none = Outcome(verdict: .allowed, remaining: 0, resetUs: 0, retryUs: 0)
}

/// Names a request among all that one Redis decides: the call's clock, µs since the epoch, and the request's place in the
/// call. Requests of one call have one clock.
struct Moment: Hashable {
    var us: Int
    var ordinal = 0

    var text: String { ordinal == 0 ? String(us) : "\(us).\(ordinal)" }

    init(us: Int, ordinal: Int = 0) {
        self.us = us
        self.ordinal = ordinal
    }

    /// nil when it is none.
    init?(text: Substring) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let us = Int(parts[0]), us > 0, let ordinal = parts.count == 2 ? Int(parts[1]) : 0,
            ordinal >= 0
        else { return nil }
        self.init(us: us, ordinal: ordinal)
    }
}

/// The answer to one `CheckRequest`.
struct Decision {
    enum Reason: String, Sendable {
        case allowed = "allowed"
        case noRule = "no-rule"
        case allowListed = "allow-listed"
        case denyListed = "deny-listed"
        case limitExceeded = "limit-exceeded"
        case costExceedsLimit = "cost-exceeds-limit"
        case storeUnavailable = "store-unavailable"
    }

    var isAllowed: Bool
    var reason: Reason
    /// Microseconds since the epoch by Redis's clock; nil when Redis did not say.
    var nowUs: Int?
    /// The rules that were counted under, nil when none were.
    var policies: PolicySet?
    /// One outcome per rule of `policies`; none when Redis did not answer. The first stands apart, so that a decision
    /// under a single rule needs no array.
    var first: Outcome
    var hasOutcomes: Bool
    /// The request's place in the call that decided it.
    private let ordinal: Int32
    private let rest: Rest?

    /// What few decisions have, by one reference: decisions are copied on their way, and each reference would be counted.
    private final class Rest {
        let others: [Outcome]
        let decider: CompiledRule?
        let leaseID: String?
        let times: [Moment]

        init(_ others: [Outcome], _ decider: CompiledRule?, _ leaseID: String?, _ times: [Moment]) {
            self.others = others
            self.decider = decider
            self.leaseID = leaseID
            self.times = times
        }
    }

    init(
        isAllowed: Bool, reason: Reason, nowUs: Int? = nil, policies: PolicySet? = nil, first: Outcome = .none,
        others: [Outcome] = [], hasOutcomes: Bool = false, decider: CompiledRule? = nil, leaseID: String? = nil,
        ordinal: Int = 0, times: [Moment] = []
    ) {
        self.isAllowed = isAllowed
        self.reason = reason
        self.nowUs = nowUs
        self.policies = policies
        self.first = first
        self.hasOutcomes = hasOutcomes
        self.ordinal = Int32(ordinal)
        rest =
            others.isEmpty && decider == nil && leaseID == nil && times.isEmpty
            ? nil : Rest(others, decider, leaseID, times)
    }

    /// The list rule that decided, or the rule whose failure mode did.
    var decider: CompiledRule? { rest?.decider }

    /// The leases taken, by rule, when a concurrency rule is among the policies and the request was allowed.
    var leaseID: String? { rest?.leaseID }

    /// Whether there is none of these.
    var isPlain: Bool { rest == nil }

    func outcome(_ index: Int) -> Outcome { index == 0 ? first : rest!.others[index - 1] }

    /// The rule whose numbers stand at the top of the answer: the one with the least remaining, or, when refused, the one
    /// with the longest wait. nil when no enforcing rule was counted under.
    var headline: Int? {
        guard let policies, hasOutcomes, policies.enforcingCount > 0 else { return nil }
        var best: Int?
        for i in 0..<policies.enforcingCount {
            let candidate = outcome(i)
            guard isAllowed || candidate.verdict != .allowed else { continue }
            guard let held = best.map(outcome) else {
                best = i
                continue
            }
            let isBetter =
                isAllowed
                ? candidate.remaining < held.remaining
                : held.verdict != .exceeds && (candidate.verdict == .exceeds || candidate.retryUs > held.retryUs)
            if isBetter { best = i }
        }
        return best
    }

    /// The clock by which a rule decided, µs since the epoch: where rules lie on several nodes, each has its own.
    func nowUs(ofRule index: Int) -> Int? {
        if let times = rest?.times, !times.isEmpty { return times[index].us }
        return nowUs
    }

    /// What names the request among all that a rule's node decides; nil when Redis did not say.
    func moment(ofRule index: Int) -> Moment? {
        if let times = rest?.times, !times.isEmpty { return times[index] }
        return moment
    }

    /// The same for all rules that no other node decided.
    var moment: Moment? { nowUs.map { Moment(us: $0, ordinal: Int(ordinal)) } }

    /// When the state of a rule says nothing any more, µs since the epoch; nil when Redis did not say.
    func resetAtUs(_ index: Int) -> Int? { nowUs(ofRule: index).map { $0 + outcome(index).resetUs } }

    /// Microseconds to wait; nil when allowed, refused for good, or nobody knows.
    var retryUs: Int? {
        guard !isAllowed, let headline, outcome(headline).verdict == .refused else { return nil }
        return outcome(headline).retryUs
    }
}

extension Outcome.Verdict {
    /// Why a request is refused by enforcing rules, one of which says this after others said `reason`; nil if it is not.
    @inline(__always)
    func refusal(after reason: Decision.Reason?) -> Decision.Reason? {
        switch self {
        case .allowed: reason
        case .refused: reason ?? .limitExceeded
        case .exceeds: .costExceedsLimit
        case .broken: reason ?? .storeUnavailable
        }
    }
}

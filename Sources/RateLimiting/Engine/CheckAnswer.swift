import Bytes
import Redis

/// A check script's reply, read: outcomes per request and rule, in the script's order.
struct CheckAnswer {
    /// Redis's clock at the decision, µs since the epoch.
    let nowUs: Int
    /// Whether states were found further ahead of the clock than it may have drifted.
    let clockResets: Int
    /// What each key still lives, ms; only when the call was made under a given clock.
    let lifeMs: [Int]
    private let batch: CheckBatch
    private let outcomes: [Outcome]

    /// nil when the reply is not what the call makes.
    init?(_ reply: ReplyView, _ batch: CheckBatch) {
        let decisions = batch.requestCount * batch.policies.rules.count
        guard reply.count >= 1 + decisions * 4 else { return nil }
        self.batch = batch
        nowUs = reply[0].integer
        var outcomes: [Outcome] = []
        outcomes.reserveCapacity(decisions)
        for i in 0..<decisions {
            let at = 1 + i * 4
            outcomes.append(
                Outcome(
                    verdict: CheckAnswer.verdict(reply[at].bytes), remaining: CheckAnswer.number(reply[at + 1]),
                    resetUs: CheckAnswer.number(reply[at + 2]), retryUs: CheckAnswer.number(reply[at + 3])))
        }
        self.outcomes = outcomes
        var next = 1 + decisions * 4
        var lifeMs: [Int] = []
        if batch.givenNowUs != nil {
            guard reply.count >= next + batch.keyCount else { return nil }
            for i in 0..<batch.keyCount { lifeMs.append(CheckAnswer.number(reply[next + i])) }
            next += batch.keyCount
        }
        self.lifeMs = lifeMs
        clockResets = reply.count - next
    }

    /// Redis's clock, when the reply says that a quota's periods did not cover it.
    static func staleNowUs(_ reply: ReplyView) -> Int64? {
        reply.count == 2 && reply[1].bytes == "stale" ? Int64(reply[0].integer) : nil
    }

    /// The decision of the `ordinal`th request.
    func decision(_ ordinal: Int) -> Decision {
        let policies = batch.policies
        let start = ordinal * policies.rules.count
        var refusal: Decision.Reason?
        for i in 0..<policies.enforcingCount {
            refusal = outcomes[start + i].verdict.refusal(after: refusal)
        }
        return Decision(
            isAllowed: refusal == nil, reason: refusal ?? .allowed, nowUs: nowUs, policies: policies,
            first: outcomes[start],
            others: policies.isSingle ? [] : Array(outcomes[start + 1..<start + policies.rules.count]),
            hasOutcomes: true,
            leaseID: policies.takesLeases && refusal == nil && !batch.isPeek ? leaseID(ordinal) : nil,
            ordinal: ordinal)
    }

    /// The leases that a request took, as its holder names them.
    private func leaseID(_ ordinal: Int) -> String? {
        guard let prefix = batch.leasePrefix else { return nil }
        let subject = batch.subject(ofOrdinal: ordinal)
        var leases: [String] = []
        for (i, rule) in batch.policies.rules.enumerated() {
            let start = ordinal * batch.policies.rules.count
            guard case .concurrency? = rule.strategy, outcomes[start + i].verdict == .allowed else { continue }
            let key = batch.key(ofSubject: subject, rule: i)
            let tag = key.firstIndex(of: UInt8(ascii: "{")) ?? 0
            leases.append(LeaseID(member: "\(prefix)-\(ordinal + 1)", key: key.dropFirst(tag).string).text)
        }
        return leases.isEmpty ? nil : leases.joined(separator: ",")
    }

    /// A number that can be reckoned with: a state that somebody wrote by hand may lead to any.
    private static func number(_ reply: ReplyView) -> Int { min(max(0, reply.integer), RuleDraft.largestExact) }

    private static func verdict(_ word: ByteView) -> Outcome.Verdict {
        switch word.isEmpty ? 0 : word[0] {
        case UInt8(ascii: "a"): .allowed
        case UInt8(ascii: "r"): .refused
        case UInt8(ascii: "e"): .exceeds
        default: .broken
        }
    }
}

import Bytes
import Redis

/// Asks about parts of a request, and gives back.
protocol SpreadOwner: AnyObject {
    /// Decides one part; `receive` is called exactly once, at once where Redis is not asked.
    func decidePart(
        _ policies: PolicySet, _ keys: RequestKeys, slot: Int, cost: Int, isPeek: Bool,
        _ receive: @escaping (Decision) -> Void)
    /// Gives back what `decision` has consumed under a part's rules.
    func giveBackPart(_ decision: Decision, _ policies: PolicySet, _ keys: RequestKeys, cost: Int)
    func decided(_ check: SpreadCheck, _ decision: Decision)
}

/// A request whose rules lie in several slots of a cluster, where no script can see them all.
///
/// Each slot decides for its own rules in one step. All or nothing over the slots comes from giving back, by each slot's
/// own receipt: a refused request has consumed nothing in the end. In between another caller may be refused, and were
/// this process to die, cost is lost; nothing is ever admitted too much.
final class SpreadCheck {
    struct Part {
        let part: PolicyPart
        let keys: RequestKeys
        let slot: Int
        /// Redis's last answer.
        fileprivate(set) var answer: Decision?
    }

    let policies: PolicySet
    let isPeek: Bool
    private let cost: Int
    private var parts: [Part]
    private var state: SpreadState
    /// The answer of a failure mode that refuses.
    private var ending: Decision?
    private var isUnchecked = false
    private(set) var decision: Decision?
    private var receive: CheckBatch.Receiver?
    private var tag = 0
    private unowned let owner: any SpreadOwner

    /// - Parameter slots: the subjects in each slot.
    init(
        owner: any SpreadOwner, policies: PolicySet, keys: RequestKeys, cost: Int, isPeek: Bool,
        slots: [(slot: Int, subjects: Subjects)]
    ) {
        self.owner = owner
        self.policies = policies
        self.cost = cost
        self.isPeek = isPeek
        let all = slots.map { slot, subjects in
            let part = policies.part(subjects)
            return Part(part: part, keys: RequestKeys(keys, at: part.indices), slot: slot)
        }
        let enforcing = all.filter { $0.part.policies.enforcingCount > 0 }
        parts = enforcing + all.filter { $0.part.policies.enforcingCount == 0 }
        state = SpreadState(enforcing: enforcing.count, total: parts.count, isPeek: isPeek)
    }

    /// Begins; `decision` may be there at once.
    func start() { perform(state.begin()) }

    /// Who hears the decision, if it is not there yet.
    func setReceiver(_ receive: @escaping CheckBatch.Receiver, tag: Int = 0) {
        self.receive = receive
        self.tag = tag
    }

    private func perform(_ steps: [SpreadState.Step]) {
        for step in steps {
            switch step {
            case .ask(let i): ask(i, isPeek: false)
            case .look(let i): ask(i, isPeek: true)
            case .giveBack(let i):
                guard let answer = parts[i].answer else { continue }
                owner.giveBackPart(answer, parts[i].part.policies, parts[i].keys, cost: cost)
            case .finish: finish()
            }
        }
    }

    private func ask(_ i: Int, isPeek: Bool) {
        let part = parts[i]
        owner.decidePart(part.part.policies, part.keys, slot: part.slot, cost: cost, isPeek: isPeek) {
            [self] decision in
            perform(state.answered(i, note(decision, of: i)))
        }
    }

    private func note(_ decision: Decision, of i: Int) -> SpreadState.Word {
        let part = parts[i].part.policies
        if decision.hasOutcomes, decision.policies === part {
            parts[i].answer = decision
            return decision.isAllowed ? .allowed : .refused
        }
        // What a part said before it gave back is not how it stands now.
        parts[i].answer = nil
        if part.enforcingCount > 0 { isUnchecked = true }
        if decision.isAllowed { return .unknown }
        if ending == nil { ending = decision }
        return .ended
    }

    private func finish() {
        let made = merged()
        decision = made
        owner.decided(self, made)
        receive?(made, tag)
        receive = nil
    }

    // MARK: The answer

    /// What the parts say together, as one Redis would have said it; rules whose slot did not answer are left out.
    private func merged() -> Decision {
        var outcomes: [Outcome?] = Array(repeating: nil, count: policies.rules.count)
        var times = Array(repeating: Moment(us: 0), count: policies.rules.count)
        var leases: [String] = []
        var known: Subjects = []
        for part in parts {
            guard let answer = part.answer else { continue }
            known.formUnion(part.part.policies.subjects)
            for (place, index) in part.part.indices.enumerated() {
                outcomes[index] = answer.outcome(place)
                times[index] = answer.moment ?? Moment(us: 0)
            }
            if let lease = answer.leaseID { leases.append(lease) }
        }
        var refusal: Decision.Reason?
        for i in 0..<policies.enforcingCount {
            if let outcome = outcomes[i] { refusal = outcome.verdict.refusal(after: refusal) }
        }
        if refusal == nil, let ending { return ending }
        if known.isEmpty { return Decision(isAllowed: true, reason: .storeUnavailable) }
        let answered = known == policies.subjects ? policies : policies.part(known).policies
        let indices = outcomes.indices.filter { outcomes[$0] != nil }
        let found = indices.map { outcomes[$0]! }
        return Decision(
            isAllowed: refusal == nil, reason: refusal ?? (isUnchecked ? .storeUnavailable : .allowed),
            nowUs: times.map(\.us).max(), policies: answered, first: found[0], others: Array(found.dropFirst()),
            hasOutcomes: true, leaseID: refusal == nil && !leases.isEmpty ? leases.joined(separator: ",") : nil,
            times: indices.map { times[$0] })
    }
}

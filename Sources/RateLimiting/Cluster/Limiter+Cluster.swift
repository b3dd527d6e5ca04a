import Bytes
import Redis
import Services

/// Decisions on a cluster, where a call takes keys of one slot only.
extension Limiter: SpreadOwner {
    /// Where the rules' keys lie: all in one slot, or spread over several, the narrowest subject's first.
    func placeOnCluster(_ policies: PolicySet, _ request: CheckRequest) -> Placement {
        let slot = RedisSlot.of(keys.key(0))
        if policies.subjects.isSingle { return placeInSlot(policies, request, slot) }
        var slots: [(slot: Int, subjects: Subjects)] = []
        for part in Rule.KeyPart.allCases {
            let subject = Subjects(part)
            guard policies.subjects.contains(subject),
                let rule = policies.rules.firstIndex(where: { $0.subject == part })
            else { continue }
            let slot = RedisSlot.of(keys.key(rule))
            if let place = slots.firstIndex(where: { $0.slot == slot }) {
                slots[place].subjects.formUnion(subject)
            } else {
                slots.append((slot, subject))
            }
        }
        if slots.count == 1 { return placeInSlot(policies, request, slot) }
        let check = SpreadCheck(
            owner: self, policies: policies, keys: keys, cost: request.cost, isPeek: request.isPeek, slots: slots)
        counters.spread.increment()
        check.start()
        return check.decision.map { .decided($0) } ?? .spread(check)
    }

    private func placeInSlot(_ policies: PolicySet, _ request: CheckRequest, _ slot: Int) -> Placement {
        let node = context.redis.node(of: keys.key(0))
        return gather(policies, keys, cost: request.cost, isPeek: request.isPeek, slot: slot, node: node)
    }

    func decidePart(
        _ policies: PolicySet, _ keys: RequestKeys, slot: Int, cost: Int, isPeek: Bool,
        _ receive: @escaping (Decision) -> Void
    ) {
        let node = context.redis.node(of: keys.key(0))
        switch gather(policies, keys, cost: cost, isPeek: isPeek, slot: slot, node: node) {
        case .decided(let decision): receive(decision)
        case .waiting(let batch, let index): batch.setReceiver({ decision, _ in receive(decision) }, ofRequest: index)
        case .spread: preconditionFailure("a part lies in one slot")
        }
    }

    func giveBackPart(_ decision: Decision, _ policies: PolicySet, _ keys: RequestKeys, cost: Int) {
        let counted = policies.rules.indices.filter { i in
            if case .concurrency? = policies.rules[i].strategy { return false }
            return decision.outcome(i).verdict == .allowed
        }
        if !counted.isEmpty, let nowUs = decision.nowUs {
            let rules = PolicySet(rules: counted.map { policies.rules[$0] }, enforcingCount: counted.count)
            let arguments = RefundScript.arguments(rules, amount: cost, receiptUs: nowUs, periods: periods(of: rules))
            giveBack(RateLimitScripts.refund, counted.map { keys.key($0).string }, arguments)
        }
        for text in decision.leaseID?.split(separator: ",") ?? [] {
            guard let lease = LeaseID(text: String(text)) else { continue }
            giveBack(
                RateLimitScripts.leaseRelease, [context.process.prefix + "ratelimit:" + lease.key], ["", lease.member])
        }
    }

    func decided(_ check: SpreadCheck, _ decision: Decision) {
        if let policies = decision.policies { counters.count(decision, policies, isPeek: check.isPeek) }
    }

    /// Runs a script that gives back, while it surely has not run, for as long as it makes sense: a second one would give
    /// back what others have consumed.
    private func giveBack(_ script: Script, _ keys: [String], _ arguments: [String]) {
        counters.givenBack.increment()
        guard pendingGiveBacks < Limiter.mostPendingGiveBacks else { return counters.lostGiveBacks.increment() }
        pendingGiveBacks += 1
        context.loop.spawn { [self] in
            defer { pendingGiveBacks -= 1 }
            let untilUs = context.loop.nowUs + Limiter.giveBackUs
            while true {
                do throws(RedisError) {
                    _ = try await context.redis.run(
                        script, keys: keys, arguments: arguments, budgetUs: Limiter.giveBackUs)
                    return
                } catch {
                    guard !error.mayHaveRun, context.loop.nowUs < untilUs else { break }
                }
                await context.loop.sleep(us: 50_000)
            }
            counters.lostGiveBacks.increment()
        }
    }

    /// How long giving back is tried, and how many may be at it: beyond, cost stays counted until its window is over.
    private static let giveBackUs: Int64 = 2_000_000
    private static let mostPendingGiveBacks = 10_000
}

extension RedisError {
    /// Whether it tells of the node that it cannot serve: a slot on the move and a full memory are no reason not to ask
    /// about other slots, and about what needs no memory.
    var isOfNode: Bool {
        if case .server(let code, _) = self { return !["TRYAGAIN", "ASK", "MOVED", "OOM"].contains(code) }
        return true
    }
}

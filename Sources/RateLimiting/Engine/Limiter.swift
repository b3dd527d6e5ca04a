import Bytes
import Digests
import EventLoops
import Redis
import Services
import Telemetry

/// Decides requests on one loop.
///
/// A check is matched against the rules, answered at once where nothing needs counting or a remembered refusal still
/// holds, and otherwise joins a call to Redis at the end of the tick. The answers are those that the same requests would
/// get one by one, in order of arrival.
final class Limiter: EndOfTick, CheckBatchOwner {
    private(set) var matcher = Matcher(.empty)
    private var open: OpenBatches
    private var isGathering = false
    let keys = RequestKeys()
    private let keyBuilder: KeyBuilder
    private var denials = DenyCache()
    /// Grows with every giving back: refusals decided before it are not remembered.
    private var epoch = 0
    private var breakers = NodeBreakers()
    private var periods = QuotaPeriods()
    private let failures: FailureModes
    let counters: LimiterCounters
    let context: ServiceContext
    private let loop: EventLoop
    private let budgetUs: Int64
    private let isCluster: Bool
    var pendingGiveBacks = 0

    /// A refusal is remembered no longer than this: the news of a giving back may be lost, and of a counter that somebody
    /// deletes in Redis by hand there is none.
    private static let rememberedUs: Int64 = 1_000_000

    /// - Parameter budgetUs: how long a check waits for Redis before the rule's failure mode decides.
    init(context: ServiceContext, local: LocalLimits, budgetUs: Int64 = 50_000) {
        self.context = context
        loop = context.loop
        self.budgetUs = budgetUs
        isCluster = context.redis.isCluster
        open = OpenBatches(isCluster: isCluster)
        keyBuilder = KeyBuilder(prefix: context.process.prefix)
        counters = LimiterCounters(context.metrics)
        failures = FailureModes(local: local, replicas: context.process.replicas, keyBuilder: keyBuilder)
    }

    var rules: RuleSet { matcher.rules }

    /// Replaces the rules. Open calls keep theirs.
    func replaceRules(_ rules: RuleSet) {
        guard rules !== self.rules else { return }
        matcher = Matcher(rules)
        denials.dropAll()
        epoch += 1
    }

    // MARK: Checks

    /// What becomes of a request: it is decided, or waits in a call that is being gathered, for which a receiver must be set
    /// at once.
    enum Placement {
        case decided(Decision)
        case waiting(CheckBatch, request: Int)
        case spread(SpreadCheck)
    }

    /// Decides `request`, now or when Redis has answered; `receive` is called exactly once. The request's views need to
    /// hold during the call only.
    /// - Parameter tag: is handed to `receive` with the decision.
    func decide(_ request: CheckRequest, tag: Int = 0, _ receive: @escaping CheckBatch.Receiver) {
        switch place(request) {
        case .decided(let decision): receive(decision, tag)
        case .waiting(let batch, let index): batch.setReceiver(receive, tag: tag, ofRequest: index)
        case .spread(let check): check.setReceiver(receive, tag: tag)
        }
    }

    /// The same for a caller that makes its receiver only when there is something to wait for.
    func place(_ request: CheckRequest) -> Placement {
        let policies: PolicySet
        switch matcher.match(request) {
        case .noRule: return .decided(Decision(isAllowed: true, reason: .noRule))
        case .allowListed(let rule):
            counters.count(rule, .allowed)
            return .decided(Decision(isAllowed: true, reason: .allowListed, decider: rule))
        case .denyListed(let rule):
            counters.count(rule, .refused)
            return .decided(Decision(isAllowed: false, reason: .denyListed, decider: rule))
        case .limits(let found): policies = found
        }
        keys.build(policies, request, keyBuilder)
        let nowUs = loop.nowUs
        if policies.isSingle, policies.enforcingCount == 1, request.cost == 1, !request.isPeek,
            let denial = denials.find(keys.keyHash(0), nowUs: nowUs)
        {
            counters.cachedDenials.increment()
            counters.count(policies.rules[0], .refused)
            return .decided(Limiter.decision(denial, policies, nowUs: nowUs))
        }
        if isCluster { return placeOnCluster(policies, request) }
        return gather(policies, keys, cost: request.cost, isPeek: request.isPeek, slot: 0, node: 0)
    }

    /// Puts a request into a call of its rules and slot, unless its node is not asked at the moment.
    @inline(__always)
    func gather(
        _ policies: PolicySet, _ keys: RequestKeys, cost: Int, isPeek: Bool, slot: Int, node: Int
    ) -> Placement {
        let nowUs = loop.nowUs
        guard breakers.mayCall(node, nowUs: nowUs) else {
            return .decided(failures.decide(policies, cost: cost, subject: keys.key(0).array, nowUs: nowUs))
        }
        let (batch, index) = open.place(policies, isPeek: isPeek, keys: keys, cost: cost, slot: slot) {
            CheckBatch(
                owner: self, policies: policies, isPeek: isPeek, epoch: epoch,
                leasePrefix: policies.takesLeases ? RandomID.hex(bytes: 8) : nil, slot: slot, node: node)
        }
        if !isGathering {
            isGathering = true
            loop.atEndOfTick(.gather, self)
        }
        return .waiting(batch, request: index)
    }

    /// Decides `request` and suspends the caller until it is decided.
    func decide(_ request: CheckRequest) async -> Decision {
        await suspend { finish in decide(request) { decision, _ in finish(decision) } }
    }

    /// Sends what has been gathered.
    func endOfTick() {
        isGathering = false
        for batch in open.takeAll() { send(batch) }
    }

    private func send(_ batch: CheckBatch) {
        batch.attempts += 1
        batch.sentAtUs = loop.nowUs
        periods.fill(batch)
        counters.calls.increment()
        counters.coalesced.increment(by: batch.requestCount - batch.subjectCount)
        context.redis.submit(batch, budgetUs: budgetUs)
    }

    // MARK: Giving back

    /// Prepares for giving back or forgetting under `keys`: everything gathered so far goes first, no refusal decided
    /// before this is remembered, and the keys' remembered ones are dropped.
    func willGiveBack(_ keys: [[UInt8]]) {
        endOfTick()
        epoch += 1
        drop(keys)
    }

    /// Forgets remembered refusals of `keys`.
    func drop(_ keys: [[UInt8]]) {
        for key in keys { key.withByteView { denials.drop(KeyHash($0)) } }
    }

    /// The rules that count a request, and its keys under them.
    func subject(of request: CheckRequest) -> (policies: PolicySet, keys: [[UInt8]])? {
        guard case .limits(let policies) = matcher.match(request) else { return nil }
        keys.build(policies, request, keyBuilder)
        return (policies, (0..<keys.count).map { keys.key($0).array })
    }

    /// The calendar periods around now, for calls that are not checks.
    func periods(of policies: PolicySet) -> [Int32: [Int64]] { periods.around(policies) }

    // MARK: Answers

    func completed(_ batch: CheckBatch, _ result: Result<ReplyView, RedisError>) {
        let nowUs = loop.nowUs
        let reply: ReplyView
        switch result {
        case .success(let view):
            reply = view
            breakers.succeeded(batch.node)
        case .failure(let error):
            if error.isOfNode {
                breakers.failed(batch.node, nowUs: nowUs)
            } else {
                breakers.succeeded(batch.node)
            }
            counters.failed(error, context.log)
            return fail(batch, nowUs: nowUs)
        }
        guard let answer = CheckAnswer(reply, batch) else {
            // A quota's periods did not cover Redis's clock: try once more with those around it.
            if batch.attempts < 3, let redisNowUs = CheckAnswer.staleNowUs(reply) {
                periods.learn(nowUs: redisNowUs)
                return send(batch)
            }
            counters.failed(.unexpectedReply("check"), context.log)
            return fail(batch, nowUs: nowUs)
        }
        counters.clockResets.increment(by: answer.clockResets)
        var ordinal = 0
        batch.forEachRequest { subject, request in
            let decision = answer.decision(ordinal)
            // A part's answer is not yet the request's.
            if !batch.policies.isPart { counters.count(decision, batch.policies, isPeek: batch.isPeek) }
            remember(decision, batch, subject, cost: request.cost, nowUs: nowUs)
            request.receive?(decision, request.tag)
            ordinal += 1
        }
    }

    private func fail(_ batch: CheckBatch, nowUs: Int64) {
        batch.forEachRequest { subject, request in
            let key = batch.key(ofSubject: subject, rule: 0).array
            let decision = failures.decide(batch.policies, cost: request.cost, subject: key, nowUs: nowUs)
            request.receive?(decision, request.tag)
        }
    }

    // MARK: Remembered refusals

    private func remember(_ decision: Decision, _ batch: CheckBatch, _ subject: Int, cost: Int, nowUs: Int64) {
        guard !decision.isAllowed, cost == 1, !batch.isPeek, batch.epoch == epoch, batch.policies.isSingle,
            batch.policies.enforcingCount == 1, !batch.policies.isPart, decision.first.verdict == .refused,
            decision.first.remaining == 0
        else { return }
        let rule = batch.policies.rules[0]
        if case .concurrency? = rule.strategy { return }
        let waitUs = Int64(decision.first.retryUs)
        denials.insert(
            KeyHash(batch.key(ofSubject: subject, rule: 0)),
            untilUs: batch.sentAtUs + min(waitUs, Limiter.rememberedUs), retryAtUs: nowUs + waitUs,
            resetAtUs: nowUs + Int64(decision.first.resetUs), clockOffsetUs: Int64(decision.nowUs ?? 0) - nowUs)
    }

    private static func decision(_ denial: DenyCache.Entry, _ policies: PolicySet, nowUs: Int64) -> Decision {
        Decision(
            isAllowed: false, reason: .limitExceeded, nowUs: Int(nowUs + denial.clockOffsetUs), policies: policies,
            first: Outcome(
                verdict: .refused, remaining: 0, resetUs: Int(denial.resetAtUs - nowUs),
                retryUs: Int(denial.retryAtUs - nowUs)),
            hasOutcomes: true)
    }
}

import Bytes
import Digests
import EventLoops
import HTTP
import JSON
import Services

/// The rate limiter: decides whether requests may pass, by rules that live in Redis.
public final class RateLimitService: Service {
    /// What the loops of a process share.
    private struct Shared: Sendable {
        let local = LocalLimits()
        let revisions = BoundRevisions()
    }

    private let context: ServiceContext
    private let shared: Shared
    private let limiter: Limiter
    private let store: RuleStore
    private let presence: Presence
    private let identities: HeaderIdentities
    private let ruleEndpoints: RuleEndpoints
    private let check: CheckEndpoints
    private let authorize: AuthorizeEndpoint
    private let giveBack: GiveBackEndpoints
    private let leases: LeaseEndpoints
    private let simulate: SimulateEndpoint
    private let events: EventsEndpoint
    private var feed: RuleFeed?
    private var isBound = false
    private var tokenRules: [Rule] = []

    /// The service as the executable lists it.
    public static func definition() -> ServiceDefinition {
        let shared = Shared()
        return ServiceDefinition(name: "rate-limiter", port: 3006, scripts: RateLimitScripts.all) { context in
            RateLimitService(context: context, shared: shared)
        }
    }

    public convenience init(context: ServiceContext) { self.init(context: context, shared: Shared()) }

    private init(context: ServiceContext, shared: Shared) {
        self.context = context
        self.shared = shared
        let budgetMs = context.process.settings["check-budget"].flatMap { Int64($0) } ?? 50
        limiter = Limiter(context: context, local: shared.local, budgetUs: budgetMs * 1000)
        store = RuleStore(context: context)
        presence = Presence(context: context)
        identities = HeaderIdentities(context: context)
        ruleEndpoints = RuleEndpoints(store: store, limiter: limiter, revisions: shared.revisions)
        check = CheckEndpoints(limiter: limiter)
        authorize = AuthorizeEndpoint(limiter: limiter, identities: identities)
        giveBack = GiveBackEndpoints(limiter: limiter, store: store, rules: ruleEndpoints)
        leases = LeaseEndpoints(limiter: limiter, context: context)
        simulate = SimulateEndpoint(context: context)
        events = EventsEndpoint(store: store)
    }

    public func addRoutes(to routes: Routes) {
        check.add(to: routes)
        authorize.add(to: routes)
        giveBack.add(to: routes)
        leases.add(to: routes)
        simulate.add(to: routes)
        events.add(to: routes)
        ruleEndpoints.add(to: routes)
        routes.guardRequests(when: { [limiter] in limiter.rules.guardsOwnAPI }) { [unowned self] exchange, resume in
            guardOwnAPI(exchange, resume)
        }
    }

    public func start() async throws {
        let (limiter, revisions, loop) = (limiter, shared.revisions, context.loop)
        tokenRules = TokenRules.of(context.tokens)
        revisions.bound(0, loop: loop.index)
        context.process.broadcasts.subscribe(RuleFeed.snapshots) { [weak self] rules in
            guard let self else { return }
            limiter.replaceRules(rules.with(tokenRules: tokenRules))
            revisions.bound(rules.revision, loop: loop.index)
            isBound = true
        }
        context.process.broadcasts.subscribe(Tokens.changes) { [weak self] tokens in
            guard let self else { return }
            tokenRules = TokenRules.of(tokens)
            limiter.replaceRules(limiter.rules.with(tokenRules: tokenRules))
        }
        context.process.broadcasts.subscribe(RuleFeed.drops) { keys in limiter.drop(keys) }
        if context.isFirstLoop {
            presence.start()
            if let path = context.process.settings["rules"] { try await RuleFile.load(path, into: store) }
            let feed = RuleFeed(store: store)
            self.feed = feed
            try await feed.start()
        } else {
            let rules = try await store.read(budgetUs: 5_000_000)
            if !isBound { limiter.replaceRules(rules.with(tokenRules: tokenRules)) }
            revisions.bound(limiter.rules.revision, loop: loop.index)
        }
    }

    public func drain() { events.closeAll() }

    public func stop() async {
        feed?.stop()
        if context.isFirstLoop { await presence.stop() }
    }

    /// Limits our own API by the rules of the group `quartermaster`, as any site would be limited.
    private func guardOwnAPI(_ exchange: Exchange, _ resume: @escaping () -> Void) {
        guard exchange.path.hasPrefix("/api/"), !ruleEndpoints.isAdministration(exchange) else { return resume() }
        let request: CheckRequest
        do { request = try identities.own(exchange) } catch {
            return ProblemReply.send(error, to: exchange, log: context.log)
        }
        limiter.decide(request) { [authorize] decision, _ in
            if decision.isAllowed { return resume() }
            if !authorize.refuse(exchange, decision) { DecisionReply.sendOwnRefusal(decision, to: exchange) }
        }
    }
}

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
        let library = RuleLibrary()
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
        store = RuleStore(context: context, library: shared.library)
        presence = Presence(context: context)
        identities = HeaderIdentities(context: context)
        ruleEndpoints = RuleEndpoints(store: store, limiter: limiter, revisions: shared.revisions)
        check = CheckEndpoints(limiter: limiter)
        authorize = AuthorizeEndpoint(limiter: limiter, identities: identities)
        giveBack = GiveBackEndpoints(limiter: limiter, store: store)
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

    public func check() async throws {
        if let path = context.process.settings["rules"] { _ = try await RuleFile(path: path) }
    }

    public func start() async throws {
        let (limiter, revisions, loop) = (limiter, shared.revisions, context.loop)
        revisions.bound(0, loop: loop.index)
        context.process.broadcasts.subscribe(RuleFeed.snapshots) { rules in
            limiter.replaceRules(rules)
            revisions.bound(rules.revision, loop: loop.index)
        }
        context.process.broadcasts.subscribe(RuleFeed.drops) { keys in limiter.drop(keys) }
        if context.isFirstLoop {
            try await startFeed()
        } else {
            limiter.replaceRules(try await store.read(budgetUs: 5_000_000))
            revisions.bound(limiter.rules.revision, loop: loop.index)
        }
    }

    /// What the first loop does for all.
    private func startFeed() async throws {
        presence.start()
        let library = shared.library
        library.tokenRules = TokenRules.of(context.tokens)
        var file: RuleFile?
        if let path = context.process.settings["rules"] {
            file = try await RuleFile(path: path)
            try await file?.apply(to: store)
        }
        let feed = RuleFeed(store: store, file: file)
        self.feed = feed
        context.process.broadcasts.subscribe(Tokens.changes) { tokens in
            library.tokenRules = TokenRules.of(tokens)
            feed.tokensChanged()
        }
        try await feed.start()
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

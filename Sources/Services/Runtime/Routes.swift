import Bytes
import Digests
import EventLoops
import HTTP
import Telemetry

/// The routes of one loop: the router with what every route shares (who calls, may they, how errors are told, what is
/// written down).
public final class Routes {
    public let router: Router
    private let context: ServiceContext
    private let access: Access
    private let streams: OpenStreams
    private var browsers: BrowserChecks
    /// By the route's index: those that a page of any origin may ask.
    private var openRoutes: Set<Int> = []
    /// By the route's index: who may call; nil where anybody may.
    private var roles: [Role?] = []
    private var ownGuard: OwnGuard?

    /// What is put before every request, while it is needed.
    private struct OwnGuard {
        let isNeeded: () -> Bool
        let run: (Exchange, _ resume: @escaping () -> Void) -> Void
    }

    /// How many streams a loop has at most, unless the setting `max-streams` says otherwise.
    public static let mostStreams = 1000

    /// Made on the loop.
    public init(router: Router, context: ServiceContext) {
        self.router = router
        self.context = context
        access = Access(context: context)
        let most = context.process.settings["max-streams"].flatMap { Int($0) } ?? Routes.mostStreams
        streams = OpenStreams(most: most, access: access)
        browsers = BrowserChecks(proxies: context.process.proxies, allowedHosts: context.process.allowedHosts)
        let log = context.log
        router.failed = { error, exchange in
            let names: LogFields = [
                "requestId": .string(RequestID.text(of: exchange)),
                "traceparent": .string(exchange.header("traceparent")?.string ?? ""),
            ]
            ProblemReply.send(error, to: exchange, log: log.with(names))
        }
        router.before = { [unowned self] exchange, route in mayBegin(exchange, route) }
        router.beforeBody = { [unowned self] exchange, route in try judge(exchange, route) }
        context.process.broadcasts.subscribe(Tokens.changes) { [context, streams] tokens in
            context.tokens = tokens
            streams.endRevoked()
        }
    }

    // MARK: Kinds of routes

    /// A route whose answer needs no waiting.
    /// - Parameter isOpen: whether pages of any origin may ask, since an answer changes nothing but their own allowance.
    public func immediate(
        _ method: HTTPMethod, _ pattern: String, role: Role?, bodyLimit: Int? = nil, isOpen: Bool = false,
        _ handler: @escaping (Exchange, Caller) throws -> Void
    ) {
        if isOpen { openRoutes.insert(router.routes.count) }
        note(role)
        router.on(
            method, pattern, bodyLimit: bodyLimit,
            .immediate { [access] exchange in
                try handler(exchange, access.authorize(exchange, role))
            })
    }

    /// A route that asks Redis, or waits for something else. What an administrator changes is written down.
    /// - Parameters:
    ///   - isAudited: false for what is a record of its own, such as a job that is created.
    ///   - atOnce: how many requests may be under way on this loop, for those that wait for long; nil for any number.
    public func on(
        _ method: HTTPMethod, _ pattern: String, role: Role, bodyLimit: Int? = nil, isAudited: Bool = true,
        atOnce: Int? = nil, _ handler: @escaping (Exchange, Caller) async throws -> Void
    ) {
        var handler = handler
        if role == .admin, method != .get, isAudited { handler = recording(method, pattern, handler) }
        if let atOnce { handler = limiting(atOnce, handler) }
        note(role)
        router.on(
            method, pattern, bodyLimit: bodyLimit,
            .async { [access, handler] exchange in
                try await handler(exchange, access.authorize(exchange, role))
            })
    }

    /// A route that is answered by a stream: of events without an end, or of a large list.
    public func stream(
        _ pattern: String, role: Role, _ handler: @escaping (Exchange, Caller) async throws -> Void
    ) {
        note(role)
        router.on(
            .get, pattern,
            .async { [access, streams] exchange in
                let caller = try access.authorize(exchange, role)
                let serial = exchange.serial
                try streams.begin(exchange, caller, role)
                try await handler(exchange, caller)
                // It may have been revoked before there was a stream to end.
                if exchange.serial == serial, !access.stillAllows(caller, role) { exchange.endStream() }
            })
    }

    /// Keeps the role of the route that is registered next.
    private func note(_ role: Role?) {
        while roles.count < router.routes.count { roles.append(nil) }
        roles.append(role)
    }

    /// Puts `body` before every request while `isNeeded` says so. It answers the request itself or calls `resume`, now or
    /// later.
    public func guardRequests(
        when isNeeded: @escaping () -> Bool, _ body: @escaping (Exchange, _ resume: @escaping () -> Void) -> Void
    ) {
        ownGuard = OwnGuard(isNeeded: isNeeded, run: body)
    }

    // MARK: Before a handler

    /// Throws what a request will be refused for when its body is there, by its head alone: so nobody without a token can
    /// have us keep what they send.
    private func judge(_ exchange: Exchange, _ route: Route) throws(Problem) {
        do throws(Problem) {
            if let problem = refusal(of: exchange, route) { throw problem }
            if route.index < roles.count { _ = try access.authorize(exchange, roles[route.index]) }
        } catch {
            RequestID.stash(exchange)
            throw error
        }
    }

    /// False when the request is answered, or goes on later.
    private func mayBegin(_ exchange: Exchange, _ route: Route) -> Bool {
        RequestID.stash(exchange)
        if let problem = refusal(of: exchange, route) {
            router.failed(problem, exchange)
            return false
        }
        guard let ownGuard, ownGuard.isNeeded() else { return true }
        ownGuard.run(exchange) { [unowned router] in router.run(route, exchange) }
        return false
    }

    /// Why a browser's request is refused, if it is.
    private func refusal(of exchange: Exchange, _ route: Route) -> Problem? {
        if context.tokens.isEmpty, let problem = browsers.refusal(ofHost: exchange) { return problem }
        guard exchange.isFromBrowser, !openRoutes.contains(route.index) else { return nil }
        return browsers.refusal(ofChange: exchange)
    }

    // MARK: Around a handler

    private func recording(
        _ method: HTTPMethod, _ pattern: String, _ handler: @escaping (Exchange, Caller) async throws -> Void
    ) -> (Exchange, Caller) async throws -> Void {
        { [context] exchange, caller in
            var entry = AuditEntry(exchange, caller, "\(method.name)", pattern, context.process.proxies)
            let serial = exchange.serial
            do {
                try await handler(exchange, caller)
                if exchange.serial == serial { entry.ended(exchange.replyStatus, exchange.change) }
            } catch {
                let change = exchange.serial == serial ? exchange.change : nil
                entry.ended(ProblemReply.problem(for: error, log: nil).kind.status, change)
                context.audit.record(entry)
                throw error
            }
            context.audit.record(entry)
        }
    }

    private func limiting(
        _ most: Int, _ handler: @escaping (Exchange, Caller) async throws -> Void
    ) -> (Exchange, Caller) async throws -> Void {
        var count = 0
        return { exchange, caller in
            guard count < most else {
                throw Problem(.unavailable, "too many such requests wait here; try another replica", retryAfterS: 1)
            }
            count += 1
            defer { count -= 1 }
            try await handler(exchange, caller)
        }
    }
}

extension Tokens {
    /// Other tokens than before, for every loop.
    public static let changes = Broadcasts.Topic<Tokens>("tokens")
}

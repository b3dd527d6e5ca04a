import Bytes
import Digests
import EventLoops
import HTTP
import Telemetry

/// The routes of one loop: the router with what every route shares (who calls, may they, how errors are told).
public final class Routes {
    public let router: Router
    private let context: ServiceContext

    public init(router: Router, context: ServiceContext) {
        self.router = router
        self.context = context
        let log = context.log
        router.failed = { error, exchange in
            let names: LogFields = [
                "requestId": .string(exchange.header("x-request-id")?.string ?? ""),
                "traceparent": .string(exchange.header("traceparent")?.string ?? ""),
            ]
            ProblemReply.send(error, to: exchange, log: log.with(names))
        }
        router.before = { exchange, _ in
            RequestID.stash(exchange)
            return true
        }
    }

    /// A route whose answer needs no waiting.
    public func immediate(
        _ method: HTTPMethod, _ pattern: String, role: Role?, bodyLimit: Int? = nil,
        _ handler: @escaping (Exchange, Caller) throws -> Void
    ) {
        let tokens = context.process.tokens
        router.on(
            method, pattern, bodyLimit: bodyLimit,
            .immediate { exchange in
                try handler(exchange, Routes.authorize(exchange, role, tokens))
            })
    }

    /// A route that asks Redis, or waits for something else.
    public func on(
        _ method: HTTPMethod, _ pattern: String, role: Role, bodyLimit: Int? = nil,
        _ handler: @escaping (Exchange, Caller) async throws -> Void
    ) {
        let tokens = context.process.tokens
        router.on(
            method, pattern, bodyLimit: bodyLimit,
            .async { exchange in
                try await handler(exchange, Routes.authorize(exchange, role, tokens))
            })
    }

    /// Puts `body` before every request while `isNeeded` says so. It answers the request itself or calls `resume`, now or
    /// later.
    public func guardRequests(
        when isNeeded: @escaping () -> Bool, _ body: @escaping (Exchange, _ resume: @escaping () -> Void) -> Void
    ) {
        router.before = { [unowned router] exchange, route in
            RequestID.stash(exchange)
            guard isNeeded() else { return true }
            body(exchange) { router.run(route, exchange) }
            return false
        }
    }

    /// - Parameter role: nil for routes that anybody may call (health).
    private static func authorize(_ exchange: Exchange, _ role: Role?, _ tokens: Tokens) throws(Problem) -> Caller {
        guard let role else { return .local }
        let caller = try tokens.authenticate(authorization: exchange.header("authorization"))
        guard caller.role.includes(role) else {
            throw Problem(.forbidden, "this needs the role \(role.rawValue); the token has \(caller.role.rawValue)")
        }
        return caller
    }
}

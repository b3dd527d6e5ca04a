import Bytes
import HTTP
import Telemetry

/// Who may do what, on one loop: the caller of a request by its token, and an end to how often strangers may try.
final class Access {
    private unowned let context: ServiceContext
    private var strangers = RefusedCallers()
    private let refusals: Counter

    init(context: ServiceContext) {
        self.context = context
        refusals = context.metrics.counter(
            "quartermaster_http_unauthenticated_total", "Requests that bore no token that is known")
    }

    /// The caller of a request, whose role includes `role`.
    /// - Parameter role: nil for routes that anybody may call (health).
    func authorize(_ exchange: Exchange, _ role: Role?) throws(Problem) -> Caller {
        guard let role, !context.tokens.isEmpty else { return .local }
        let caller: Caller
        do { caller = try context.tokens.authenticate(authorization: exchange.header("authorization")) } catch {
            throw refusal(of: exchange, error)
        }
        guard caller.role.includes(role) else {
            throw Problem(.forbidden, "this needs the role \(role.rawValue); the token has \(caller.role.rawValue)")
        }
        return caller
    }

    /// Whether a caller of an earlier moment still may do what needs `role`.
    func stillAllows(_ caller: Caller, _ role: Role) -> Bool { context.tokens.stillKnows(caller, for: role) }

    private func refusal(of exchange: Exchange, _ problem: Problem) -> Problem {
        refusals.increment()
        let address = context.process.proxies.clientAddress(exchange, peer: PeerAddress(exchange.peer))
        guard let waitS = strangers.refused(address, nowUs: context.loop.nowUs) else { return problem }
        // Each further try costs a connection, too.
        exchange.endConnection()
        return Problem(
            .tooManyRequests, "too many requests from this address bore no token that is known", retryAfterS: waitS)
    }
}

import Bytes
import HTTP
import Services

/// `/api/rate-limits/authorize`: forward auth for nginx `auth_request`, Traefik, Caddy and Envoy.
///
/// nginx, Traefik and Caddy tell the request to decide in header fields, whose names the query says. Envoy asks with the
/// request's own method and appends its path and query to `…/authorize/envoy`; what we need to be told stands before them:
/// `…/authorize/envoy;user-header=x-user-id`.
final class AuthorizeEndpoint {
    static let path = "/api/rate-limits/authorize"

    private let limiter: Limiter
    private let identities: HeaderIdentities
    /// What was said last and what it means: behind a proxy every call says the same.
    private var last: (said: [UInt8], isInPath: Bool, headers: ProxyHeaders)?

    init(limiter: Limiter, identities: HeaderIdentities) {
        self.limiter = limiter
        self.identities = identities
    }

    func add(to routes: Routes) {
        // Whatever the method is: it may be that of the request to decide. HEAD has GET's route.
        for method in HTTPMethod.allCases where method != .head {
            routes.immediate(method, AuthorizeEndpoint.path, role: .check, isOpen: true) { [self] exchange, _ in
                let headers = try headers(exchange.query, isInPath: false)
                try decide(exchange, try identities.original(exchange, headers), headers)
            }
            routes.immediate(method, AuthorizeEndpoint.path + "/{proxy}/*", role: .check, isOpen: true) {
                [self] exchange, _ in
                let headers = try inPath(exchange)
                // With the slash before it.
                let rest = exchange.rawParameter(1)
                let path = ByteView(base: rest.base - 1, count: rest.count + 1)
                try decide(exchange, try identities.original(exchange, headers, path: path), headers)
            }
        }
    }

    /// Answers a call that limits on our own API refuse, in the way that its proxy understands.
    /// - Returns: false when the request is no such call.
    func refuse(_ exchange: Exchange, _ decision: Decision) -> Bool {
        guard let pattern = exchange.route?.pattern, pattern.hasPrefix(AuthorizeEndpoint.path) else { return false }
        let isInPath = pattern != AuthorizeEndpoint.path
        let headers = isInPath ? try? inPath(exchange) : try? headers(exchange.query, isInPath: false)
        DecisionReply.sendOwnRefusal(decision, status: headers?.refusalStatus, to: exchange)
        return true
    }

    private func decide(_ exchange: Exchange, _ request: CheckRequest, _ headers: ProxyHeaders) throws(Problem) {
        try limiter.demandAddress(of: request, field: "X-Forwarded-For")
        let refusalStatus = headers.refusalStatus
        let placement = limiter.place(request)
        let skipsLeases = limiter.matcher.skippedLeases
        switch placement {
        case .decided(let decision):
            DecisionReply.sendAuthorization(decision, refusalStatus: refusalStatus, skipsLeases, to: exchange)
        case .waiting(let batch, let index):
            batch.setReceiver(
                { decision, _ in
                    DecisionReply.sendAuthorization(decision, refusalStatus: refusalStatus, skipsLeases, to: exchange)
                }, ofRequest: index)
        case .spread(let check):
            check.setReceiver { decision, _ in
                DecisionReply.sendAuthorization(decision, refusalStatus: refusalStatus, skipsLeases, to: exchange)
            }
        }
    }

    // MARK: What the URL says

    private func headers(_ said: ByteView, isInPath: Bool) throws(Problem) -> ProxyHeaders {
        if let last, last.isInPath == isInPath, last.said.withByteView({ $0 == said }) { return last.headers }
        // Words, names and numbers: nothing that would have to be escaped.
        let items = said.string.split(separator: isInPath ? ";" : "&").map { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (name: String(parts[0]), value: parts.count == 2 ? String(parts[1]) : "")
        }
        let headers = try ProxyHeaders(items, isInPath: isInPath)
        last = (said.array, isInPath, headers)
        return headers
    }

    private func inPath(_ exchange: Exchange) throws(Problem) -> ProxyHeaders {
        let said = exchange.rawParameter(0)
        let end = said.firstIndex(of: 0x3B) ?? said.count
        guard said.slice(0, end) == "envoy" else { throw Problem(.notFound, "there is nothing at this path") }
        return try headers(said.dropFirst(end), isInPath: true)
    }
}

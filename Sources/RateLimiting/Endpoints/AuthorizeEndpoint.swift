import Bytes
import HTTP
import Services

/// `/api/rate-limits/authorize`: forward auth for nginx `auth_request`, Traefik, Caddy and Envoy. The request to decide
/// is told in headers.
final class AuthorizeEndpoint {
    private let limiter: Limiter
    private let identities: HeaderIdentities

    init(limiter: Limiter, identities: HeaderIdentities) {
        self.limiter = limiter
        self.identities = identities
    }

    func add(to routes: Routes) {
        // Proxies ask with the method of the request they guard, or with GET.
        for method in [HTTPMethod.get, .post, .put, .patch, .delete] {
            routes.immediate(method, "/api/rate-limits/authorize", role: .check, isOpen: true) { [self] exchange, _ in
                try authorize(exchange)
            }
        }
    }

    private func authorize(_ exchange: Exchange) throws {
        var refusalStatus: Int?
        if let text = exchange.queryItem("deny") {
            guard let status = Int(text), status == 401 || status == 403 || status == 429 else {
                throw Problem.field("deny", "must be 401, 403 or 429")
            }
            refusalStatus = status
        }
        let request = try identities.original(exchange)
        limiter.decide(request) { decision, _ in
            DecisionReply.sendAuthorization(decision, refusalStatus: refusalStatus, to: exchange)
        }
    }
}

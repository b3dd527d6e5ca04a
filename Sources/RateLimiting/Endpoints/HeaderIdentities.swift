import Bytes
import HTTP
import Services

/// Who a request is from and what it is for, by its headers, as far as its peer may be believed.
///
/// A trusted proxy is believed about the client's address, and in forward auth about the fields that its call's URL names
/// (`ProxyHeaders`). Any other field is the client's own word, or each made-up key would be a fresh bucket. What is returned
/// holds until the next call.
final class HeaderIdentities {
    private let proxies: TrustedProxies
    private let context: ServiceContext
    private let parser = CheckParser()
    /// The last peer seen: behind a proxy nearly every request has the same.
    private var lastPeer: (peer: Peer, address: PeerAddress, isTrusted: Bool)?

    init(context: ServiceContext) {
        self.context = context
        proxies = context.process.proxies
    }

    /// The request that a forward-auth call asks about.
    /// - Parameter path: what the call's own path says, for a proxy that tells it there; its method is then the request's.
    func original(
        _ exchange: Exchange, _ headers: ProxyHeaders, path: ByteView? = nil
    ) throws(Problem) -> CheckRequest {
        parser.begin()
        let (peer, isTrusted) = peer(of: exchange)
        var request = client(exchange, peer: peer)
        request.takesNoLeases = true
        if isTrusted {
            try tell(exchange, headers, path, &request)
        } else if headers.isUnnamed {
            // Nothing but its address is believed.
            request.endpoint = try parser.normalized(exchange.path, field: "path")
            request.method = ByteView(exchange.method.name)
        } else {
            throw Problem(.forbidden, "this peer may not speak for others; a proxy is named in --trusted-proxies")
        }
        if request.address == nil, request.identity.kind == .ip {
            throw .field("X-Forwarded-For", "is required of a proxy that asks over a unix socket")
        }
        return request
    }

    /// The request itself, for the limits on our own API. Who bears a token is its name, never the token.
    func own(_ exchange: Exchange) throws(Problem) -> CheckRequest {
        parser.begin()
        var request = client(exchange, peer: peer(of: exchange).address)
        if let caller = exchange.header("authorization").flatMap({ context.tokens.caller(authorization: $0) }) {
            request.identity = Identity(kind: .id, value: caller.name.withByteView { parser.keep($0) })
        }
        request.endpoint = try parser.normalized(exchange.path, field: "path")
        request.method = ByteView(exchange.method.name)
        request.isOwnAPI = true
        request.takesNoLeases = true
        return request
    }

    /// What a trusted proxy says of the request and its client.
    private func tell(
        _ exchange: Exchange, _ headers: ProxyHeaders, _ path: ByteView?, _ request: inout CheckRequest
    ) throws(Problem) {
        request.method = ByteView(exchange.method.name)
        if headers.isUnnamed {
            for other in ["x-forwarded-uri", "x-forwarded-method"] as [StaticString] where exchange.header(other) != nil
            {
                throw .field(
                    "proxy", "is required of a proxy that sends \(other): traefik, caddy or nginx, in the query")
            }
        }
        if let path {
            request.endpoint = try parser.normalized(path, field: "path")
        } else if let uri = headers.uri {
            if let target = try uri.value(exchange) {
                request.endpoint = try parser.normalized(target, field: uri.text)
            } else if headers.isUnnamed {
                request.endpoint = try parser.normalized(exchange.path, field: "path")
            } else {
                throw .field(uri.text, "is required; the proxy that was named sends it")
            }
        }
        if let method = headers.method, let name = try method.value(exchange) {
            request.method = parser.capitals(try checked(name, method))
        }
        if let key = try headers.apiKey?.value(exchange) {
            request.identity = Identity(kind: .key, value: parser.hashed(try checked(key, headers.apiKey)))
        } else if let user = try headers.user?.value(exchange) {
            request.identity = Identity(kind: .user, value: try checked(user, headers.user))
        }
        if let tier = try headers.tier?.value(exchange) { request.tier = try checked(tier, headers.tier) }
    }

    private func peer(of exchange: Exchange) -> (address: PeerAddress, isTrusted: Bool) {
        if let last = lastPeer, last.peer == exchange.peer { return (last.address, last.isTrusted) }
        let address = PeerAddress(exchange.peer)
        let isTrusted = proxies.trusts(address)
        lastPeer = (exchange.peer, address, isTrusted)
        return (address, isTrusted)
    }

    private func client(_ exchange: Exchange, peer: PeerAddress) -> CheckRequest {
        let address = proxies.clientAddress(exchange, peer: peer)
        let text = address?.clientText() ?? "unknown"
        return CheckRequest(
            identity: Identity(kind: .ip, value: text.withByteView { parser.keep($0) }), address: address)
    }

    private func checked(_ value: ByteView, _ name: ProxyHeaders.Name?) throws(Problem) -> ByteView {
        guard (1...CheckParser.longestIdentifier).contains(value.count) else {
            throw .field(name?.text ?? "", "must be 1 to \(CheckParser.longestIdentifier) bytes long")
        }
        return value
    }
}

import Bytes
import HTTP
import Services

/// Who a request is from and what it is for, by its headers, as far as its peer may be believed.
///
/// `X-API-Key` and `X-User-Id` count when a trusted proxy sends them, or the key is one of our tokens; `X-Original-*`,
/// `X-Forwarded-*` and `X-Tier` from a trusted proxy only. Else the client is its address, or each made-up key would be
/// a fresh bucket. What is returned holds until the next call.
final class HeaderIdentities {
    private let proxies: TrustedProxies
    private let context: ServiceContext
    private let parser = CheckParser()
    private let path = NormalizedPath()
    /// The last peer seen: behind a proxy nearly every request has the same.
    private var lastPeer: (peer: Peer, address: PeerAddress, isTrusted: Bool)?

    init(context: ServiceContext) {
        self.context = context
        proxies = context.process.proxies
    }

    /// The request that a forward-auth call asks about.
    func original(_ exchange: Exchange) throws(Problem) -> CheckRequest {
        parser.begin()
        let (peer, isTrusted) = peer(of: exchange)
        var request = try client(exchange, peer: peer, isTrusted: isTrusted)
        request.endpoint = exchange.path
        request.method = ByteView(exchange.method.name)
        if isTrusted {
            let target = exchange.header("x-original-uri") ?? exchange.header("x-forwarded-uri")
            if let target { request.endpoint = try path.normalize(target) }
            if let method = exchange.header("x-original-method") ?? exchange.header("x-forwarded-method") {
                request.method = method
            }
        }
        return request
    }

    /// The request itself, for the limits on our own API. Who bears a token is its name, never the token.
    func own(_ exchange: Exchange) throws(Problem) -> CheckRequest {
        parser.begin()
        let (peer, isTrusted) = peer(of: exchange)
        var request = try client(exchange, peer: peer, isTrusted: isTrusted)
        if let caller = exchange.header("authorization").flatMap({ context.tokens.caller(authorization: $0) }) {
            request.identity = Identity(kind: .id, value: caller.name.withByteView { parser.keep($0) })
        }
        request.endpoint = exchange.path
        request.method = ByteView(exchange.method.name)
        request.isOwnAPI = true
        return request
    }

    private func peer(of exchange: Exchange) -> (address: PeerAddress, isTrusted: Bool) {
        if let last = lastPeer, last.peer == exchange.peer { return (last.address, last.isTrusted) }
        let address = PeerAddress(exchange.peer)
        let isTrusted = proxies.trusts(address)
        lastPeer = (exchange.peer, address, isTrusted)
        return (address, isTrusted)
    }

    private func client(_ exchange: Exchange, peer: PeerAddress, isTrusted: Bool) throws(Problem) -> CheckRequest {
        let address = proxies.clientAddress(exchange, peer: peer)
        var request = CheckRequest(identity: Identity(kind: .ip, value: ByteView("unknown")), address: address)
        if let key = exchange.header("x-api-key"), isTrusted || context.tokens.caller(bearing: key) != nil {
            request.identity = Identity(kind: .key, value: parser.hashed(try checked(key, "X-API-Key")))
        } else if isTrusted, let user = exchange.header("x-user-id") {
            request.identity = Identity(kind: .user, value: try checked(user, "X-User-Id"))
        } else if let address {
            request.identity.value = address.clientText().withByteView { parser.keep($0) }
        }
        if isTrusted, let tier = exchange.header("x-tier") { request.tier = try checked(tier, "X-Tier") }
        return request
    }

    private func checked(_ value: ByteView, _ name: String) throws(Problem) -> ByteView {
        guard (1...CheckParser.longestIdentifier).contains(value.count) else {
            throw .field(name, "must be 1 to \(CheckParser.longestIdentifier) bytes long")
        }
        return value
    }
}

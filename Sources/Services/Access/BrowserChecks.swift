import Bytes
import HTTP

/// What a web page of somebody else's must not do through a visitor's browser.
///
/// Programs are not concerned: a browser is known by fields that it sends by itself.
struct BrowserChecks {
    private let proxies: TrustedProxies
    /// In lower case, with a port where only that port is meant.
    private let allowedHosts: Set<String>
    /// The last Host that is ours whoever asks for it: nearly every request has the same.
    private var lastHost: [UInt8] = []

    init(proxies: TrustedProxies, allowedHosts: [String]) {
        self.proxies = proxies
        self.allowedHosts = Set(allowedHosts.map { $0.lowercased() })
    }

    /// Why a request to a server without tokens is refused for its Host: a name that its owner has made lead to us (DNS
    /// rebinding) would let the page of that name speak for whoever visits it. Addresses cannot be made to lead elsewhere,
    /// nor can names without a dot be anybody's on the Internet.
    mutating func refusal(ofHost exchange: Exchange) -> Problem? {
        let host = exchange.host
        if host.isEmpty || lastHost.withByteView({ $0 == host }) { return nil }
        if isOurs(host) {
            lastHost = host.array
            return nil
        }
        // Good for this peer alone, so it is not remembered: a browser may come under the same name by another way.
        if proxies.isConfigured(PeerAddress(exchange.peer)) { return nil }
        return Problem(
            .forbidden, "without tokens, only the hosts of --allowed-hosts are answered for, and those without a dot")
    }

    /// Why a browser's request that may change something is refused: it comes from a page of another origin, or its body
    /// could be that of a form, which needs no leave of ours to be sent from anywhere.
    func refusal(ofChange exchange: Exchange) -> Problem? {
        switch exchange.method {
        case .get, .head, .options: return nil
        case .post, .put, .patch, .delete: break
        }
        guard isSameOrigin(exchange) else {
            return Problem(.forbidden, "a page of another origin may change nothing here")
        }
        guard exchange.hasBody else { return nil }
        let type = exchange.header("content-type") ?? .empty
        let media = type.slice(0, type.firstIndex(of: UInt8(ascii: ";")) ?? type.count).trimmed
        let isOfForm =
            media.isEmpty || media.equalsIgnoringCase("application/x-www-form-urlencoded")
            || media.equalsIgnoringCase("multipart/form-data") || media.equalsIgnoringCase("text/plain")
        return isOfForm ? Problem(.unsupportedMediaType, "a browser's body must be application/json") : nil
    }

    private func isOurs(_ host: ByteView) -> Bool {
        let name = BrowserChecks.withoutPort(host)
        if name.firstIndex(of: UInt8(ascii: ".")) == nil || IPAddress(name) != nil { return true }
        let text = name.string.lowercased()
        return text == "localhost." || text.hasSuffix(".localhost") || allowedHosts.contains(text)
            || allowedHosts.contains(host.string.lowercased())
    }

    private func isSameOrigin(_ exchange: Exchange) -> Bool {
        if let site = exchange.header("sec-fetch-site") { return site == "same-origin" || site == "none" }
        guard let origin = exchange.header("origin")?.string.lowercased(), let start = origin.firstRange(of: "://")
        else { return false }
        let authority = String(origin[start.upperBound...])
        if authority == exchange.host.string.lowercased() { return true }
        let name = authority.withByteView { BrowserChecks.withoutPort($0).string }
        if allowedHosts.contains(name) || allowedHosts.contains(authority) { return true }
        // A proxy that asks under another name says which one it was asked for.
        guard proxies.trusts(PeerAddress(exchange.peer)), let forwarded = exchange.header("x-forwarded-host") else {
            return false
        }
        return forwarded.string.lowercased() == authority
    }

    /// `localhost:8080` and `[::1]:8080` without port and brackets.
    private static func withoutPort(_ host: ByteView) -> ByteView {
        if !host.isEmpty, host[0] == UInt8(ascii: "["), let close = host.firstIndex(of: UInt8(ascii: "]")) {
            return host.slice(1, close)
        }
        return host.slice(0, host.firstIndex(of: UInt8(ascii: ":")) ?? host.count)
    }
}

import Bytes
import HTTP
import Services

/// Which header fields of a forward-auth call are believed, and how it is refused: what the call's URL says.
///
/// Traefik and Caddy pass on whatever a client sends, so a field that another proxy would have written is the client's own
/// word there. Only the proxy's configuration can write the URL.
struct ProxyHeaders {
    enum Proxy: String, CaseIterable { case nginx, traefik, caddy, envoy }

    /// The name of a header field, in small letters.
    struct Name {
        let text: String
        private let bytes: [UInt8]

        init(_ text: String) {
            self.text = text.lowercased()
            bytes = [UInt8](self.text.utf8)
        }

        /// The field's only value. Where it stands twice, one of the two is not the proxy's.
        func value(_ exchange: Exchange) throws(Problem) -> ByteView? {
            var first: ByteView?
            var count = 0
            bytes.withByteView { name in
                exchange.headers(name) { value in
                    if count == 0 { first = value }
                    count += 1
                }
            }
            guard count <= 1 else {
                throw .field(text, "stands \(count) times; the proxy must replace what a client sends")
            }
            return first
        }
    }

    /// nil where the call's own path says it, as Envoy's does.
    private(set) var uri: Name?
    private(set) var method: Name?
    private(set) var apiKey: Name?
    private(set) var user: Name?
    private(set) var tier: Name?
    /// One status for every refusal, for proxies that know only some; nil for the true one.
    private(set) var refusalStatus: Int?
    /// Whether the URL names no proxy: then nginx's fields count, and another proxy's are refused.
    private(set) var isUnnamed = false

    /// What a call says whose URL has these items.
    /// - Parameter isInPath: the items stand in the path of an Envoy, whose query is the client's.
    init(_ items: [(name: String, value: String)], isInPath: Bool = false) throws(Problem) {
        var proxy: Proxy? = isInPath ? .envoy : nil
        var named: Set<String> = []
        for (name, value) in items {
            guard named.insert(name).inserted else { throw .field(name, "stands twice") }
            switch name {
            case "proxy" where !isInPath:
                guard let known = Proxy(rawValue: value) else {
                    let all = Proxy.allCases.map(\.rawValue).joined(separator: ", ")
                    throw .field(name, "must be one of \(all)")
                }
                proxy = known
            case "uri-header" where !isInPath: uri = try ProxyHeaders.headerName(value, name)
            case "method-header" where !isInPath: method = try ProxyHeaders.headerName(value, name)
            case "api-key-header": apiKey = try ProxyHeaders.headerName(value, name)
            case "user-header": user = try ProxyHeaders.headerName(value, name, isKept: true)
            case "tier-header": tier = try ProxyHeaders.headerName(value, name, isKept: true)
            case "deny":
                guard let status = Int(value), [401, 403, 429].contains(status) else {
                    throw .field(name, "must be 401, 403 or 429")
                }
                refusalStatus = status
            default: throw .field(name, "is nothing that is known here")
            }
        }
        if proxy != nil, uri != nil || method != nil {
            throw .field("proxy", "stands beside uri-header or method-header; give one of them")
        }
        if method != nil, uri == nil { throw .field("uri-header", "is required beside method-header") }
        switch proxy {
        case .envoy where !isInPath:
            throw .field("proxy", "is told in the path for Envoy: \(AuthorizeEndpoint.path)/envoy")
        case .envoy: break
        case .traefik, .caddy: (uri, method) = (Name("x-forwarded-uri"), Name("x-forwarded-method"))
        case .nginx: (uri, method) = (Name("x-original-uri"), Name("x-original-method"))
        case nil where uri == nil:
            isUnnamed = true
            (uri, method) = (Name("x-original-uri"), Name("x-original-method"))
        case nil: break
        }
    }

    /// Fields that a page of any origin may have a browser send to us without our leave. Calls are open to such pages, since
    /// a proxy passes on what browsers send; a page must not be a proxy.
    private static let ofAnyPage: Set<String> = [
        "accept", "accept-language", "content-language", "content-type", "range", "downlink", "dpr", "ect", "rtt",
        "save-data", "viewport-width", "width", "origin", "referer", "user-agent", "host",
    ]

    /// - Parameter isKept: what the field says becomes part of a key in the store, as it is.
    private static func headerName(_ text: String, _ item: String, isKept: Bool = false) throws(Problem) -> Name {
        let isName = text.utf8.allSatisfy { byte in
            byte.isDigit || (0x61...0x7A).contains(byte.asciiLowercased) || byte == 0x2D || byte == 0x5F
        }
        guard isName, (1...64).contains(text.utf8.count) else {
            throw .field(item, "must be the name of a header field")
        }
        if ofAnyPage.contains(text.lowercased()) {
            throw .field(item, "must not be \(text), which any page can make a browser send")
        }
        if isKept, ["authorization", "cookie", "proxy-authorization"].contains(text.lowercased()) {
            throw .field(item, "must not be \(text), which is a secret; an API key's field is named by api-key-header")
        }
        return Name(text)
    }
}

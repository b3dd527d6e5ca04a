import CCurl

/// A URL to which we may send: http or https, absolute, without user or password.
///
/// It is taken apart by the library that will connect to it, so that both mean the same host.
public struct WebAddress: Sendable, Equatable, CustomStringConvertible {
    /// As the library puts it: numeric IPv4 addresses in their usual form, no fragment.
    public let text: String
    /// Lower case; an IPv6 address without its brackets.
    public let host: String
    public let port: Int
    public let isTLS: Bool

    public var description: String { text }

    /// Why a text is no such URL.
    public struct Malformed: Error, CustomStringConvertible {
        public let description: String
    }

    public static let maxBytes = 2048

    public init(_ text: String) throws(Malformed) {
        // What other readers of URLs would strip or take for a slash is refused, not guessed at.
        guard text.utf8.count <= WebAddress.maxBytes,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C })
        else { throw Malformed(description: "must be at most 2048 visible ASCII characters without backslashes") }
        // libcurl takes one slash and three for two.
        guard let start = text.firstRange(of: "://"), !text[start.upperBound...].hasPrefix("/"),
            let parts = URLParts(text)
        else { throw Malformed(description: "must be a URL that begins with http:// or https://") }
        guard let scheme = parts[CURLUPART_SCHEME], scheme == "http" || scheme == "https" else {
            throw Malformed(description: "must be a URL that begins with http:// or https://")
        }
        guard parts[CURLUPART_USER] == nil, parts[CURLUPART_PASSWORD] == nil, !WebAddress.hasUser(text) else {
            throw Malformed(description: "must not hold a user or a password")
        }
        guard var host = parts[CURLUPART_HOST]?.lowercased(), let port = parts.port else {
            throw Malformed(description: "must name a host")
        }
        if host.hasPrefix("[") {
            // A zone names one of our own interfaces.
            guard parts[CURLUPART_ZONEID] == nil, host.hasSuffix("]") else {
                throw Malformed(description: "must not name a network interface")
            }
            host = String(host.dropFirst().dropLast())
        }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy({ WebAddress.isHostByte($0) }) else {
            throw Malformed(description: "must name a host by letters, digits, hyphens and dots, or by its address")
        }
        parts.clear(CURLUPART_FRAGMENT)
        guard let whole = parts[CURLUPART_URL] else { throw Malformed(description: "must be a URL") }
        self.text = whole
        self.host = host
        self.port = port
        isTLS = scheme == "https"
    }

    static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5F: true
        default: false
        }
    }

    /// Whether there is an `@` before the path, even with nothing in front of it.
    private static func hasUser(_ text: String) -> Bool {
        guard let start = text.firstRange(of: "://") else { return false }
        return text[start.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }.contains("@")
    }
}

/// A URL in libcurl's hands.
final class URLParts {
    private let handle: OpaquePointer

    /// nil for what libcurl does not take for a URL with a scheme.
    init?(_ text: String) {
        guard let handle = curl_url() else { return nil }
        self.handle = handle
        guard curl_url_set(handle, CURLUPART_URL, text, UInt32(CURLU_NON_SUPPORT_SCHEME)) == CURLUE_OK else {
            return nil
        }
    }

    deinit { curl_url_cleanup(handle) }

    /// A part as it is written; nil when it is not there.
    subscript(part: CURLUPart) -> String? { text(part, 0) }

    /// A part with its percent signs decoded.
    func decoded(_ part: CURLUPart) -> String? { text(part, UInt32(CURLU_URLDECODE)) }

    /// The port, or that of the scheme.
    var port: Int? { text(CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT)).flatMap { Int($0) } }

    func clear(_ part: CURLUPart) { curl_url_set(handle, part, nil, 0) }

    private func text(_ part: CURLUPart, _ flags: UInt32) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}

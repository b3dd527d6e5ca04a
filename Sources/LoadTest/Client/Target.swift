import EventLoops

/// Where the load goes: a server of this machine, and no other.
struct Target: Equatable {
    let address: Sockets.Address
    /// The value of the Host header.
    let host: String

    /// Reads `http://127.0.0.1:8080`, `http://localhost:8080` or `http://[::1]:8080`; nil for anything else, above all
    /// for an address that is not loopback.
    init?(url: String) {
        guard url.hasPrefix("http://") else { return nil }
        var authority = url.dropFirst(7)
        if authority.hasSuffix("/") { authority.removeLast() }
        guard !authority.contains("/"), let colon = authority.lastIndex(of: ":"),
            let port = Int(authority[authority.index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        let name = authority[..<colon]
        switch name {
        case "localhost": address = .tcp(host: "127.0.0.1", port: port)
        case "[::1]": address = .tcp(host: "::1", port: port)
        case _ where Target.isIPv4Loopback(name): address = .tcp(host: String(name), port: port)
        default: return nil
        }
        host = String(authority)
    }

    private static func isIPv4Loopback(_ name: Substring) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { part in
                part.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } && Int(part).map { $0 <= 255 } ?? false
            }
    }
}

import Bytes

/// What a server says that did nothing, since the slot or the mastership is elsewhere or on the move.
enum Redirection: Equatable {
    /// The slot is served there from now on.
    case moved(slot: Int, to: RedisConfiguration.Address)
    /// This one call may be served there, if it begins with ASKING.
    case ask(to: RedisConfiguration.Address)
    /// Nobody can serve it at the moment.
    case later

    /// - Parameters:
    ///   - reply: an error.
    ///   - answering: the host that says it; it leaves its own name away when it does not know it.
    init?(_ reply: ByteView, answering: String) {
        // The first byte decides for nearly all errors that are none of these.
        guard reply.count > 3, Redirection.firstBytes.contains(reply[0]) else { return nil }
        let words = reply.string.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
        switch words[0] {
        case "MOVED":
            guard words.count >= 3, let slot = Int(words[1]), (0..<RedisSlot.count).contains(slot),
                let address = Redirection.address(words[2], answering)
            else { return nil }
            self = .moved(slot: slot, to: address)
        case "ASK":
            guard words.count >= 3, let address = Redirection.address(words[2], answering) else { return nil }
            self = .ask(to: address)
        case "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN": self = .later
        default: return nil
        }
    }

    private static let firstBytes = Array("MATCRL".utf8)

    /// `host:port`, where an IPv6 address has no brackets.
    static func address(_ text: Substring, _ answering: String) -> RedisConfiguration.Address? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        let host = text[..<colon]
        return .tcp(host: host.isEmpty ? answering : String(host), port: port)
    }
}

extension RedisError {
    /// The server did nothing, because the slot or the mastership is elsewhere or on the move: try again later.
    public var isElsewhere: Bool {
        guard case .server(let code, _) = self else { return false }
        return ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN"].contains(code)
    }
}

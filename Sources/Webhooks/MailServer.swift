import CCurl

/// The server that takes our mail: `smtp://[user:password@]host[:port][?starttls=…]`, or `smtps://` for TLS from the first
/// byte on (port 465).
///
/// With `smtp://` the connection turns to TLS where the server offers it; with a password, or `?starttls=required`, it has
/// to. `?starttls=never` is for a server of our own machine whose certificate nobody knows.
public struct MailServer: Sendable, Equatable, CustomStringConvertible {
    enum Security { case never, offered, required }

    /// Without user and password.
    let url: String
    let user: String?
    let password: String?
    let security: Security

    /// The URL without what is secret.
    public var description: String { url }

    /// Why a text is no such URL; it does not repeat the text, which may hold a password.
    public struct Malformed: Error, CustomStringConvertible {
        public let description: String
    }

    public init(_ text: String) throws(Malformed) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let parts = URLParts(text),
            let scheme = parts[CURLUPART_SCHEME], scheme == "smtp" || scheme == "smtps",
            let host = parts[CURLUPART_HOST], !host.isEmpty, ["/", "", nil].contains(parts[CURLUPART_PATH]),
            parts[CURLUPART_FRAGMENT] == nil
        else { throw Malformed(description: "must be smtp://[user:password@]host[:port] or smtps://…") }
        let port = parts[CURLUPART_PORT].map { ":" + $0 } ?? ""
        url = "\(scheme)://\(host)\(port)"
        user = parts.decoded(CURLUPART_USER)
        password = parts.decoded(CURLUPART_PASSWORD)
        switch parts[CURLUPART_QUERY] {
        case nil, "": security = user == nil ? .offered : .required
        case "starttls=never": security = .never
        case "starttls=offered": security = .offered
        case "starttls=required": security = .required
        default: throw Malformed(description: "takes starttls=never, offered or required, and nothing else")
        }
    }
}

/// What a mail server said when it took a message.
public struct MailReceipt: Sendable, Equatable {
    /// Its last reply, `250 2.0.0 Ok: queued as 4XYZ`.
    public let reply: String
}

extension OutgoingClient {
    /// Sends a message to all its recipients or, when the server refuses one of them, to none. Cut short, it may have been
    /// sent.
    public func send(
        _ mail: Mail, by server: MailServer, cancellation: OutgoingCancellation? = nil
    ) async -> Result<MailReceipt, OutgoingError> {
        if let cancellation, cancellation.isCancelled { return .failure(.cancelled) }
        let call = MailCall(mail, by: server, fixedNames: fixedNames, authorities: authorities)
        // Beside libcurl's own, since it counts the time in the queue and does not wait for a last word.
        let timer = loop.after(us: Int64(mail.timeoutMs) * 1000) { call.end(.failure(.timedOut)) }
        cancellation?.onCancel { call.end(.failure(.cancelled)) }
        mailThreads.submit(call)
        let outcome = await call.wait()
        timer.cancel()
        cancellation?.onCancel(nil)
        return outcome
    }
}

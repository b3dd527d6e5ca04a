/// An HTTP request of ours.
public struct OutgoingRequest: Sendable {
    public var url: WebAddress
    /// An upper-case word.
    public var method: String
    /// Names and values as they are sent. Host and Content-Length are added.
    public var headers: [(name: String, value: String)]
    /// nil for none; a POST without one says so by its length.
    public var body: [UInt8]?
    /// For name look-up, connection and TLS handshake.
    public var connectTimeoutMs = 10_000
    /// For all of it.
    public var timeoutMs = 30_000
    /// How much of the answer's body is kept.
    public var maxResponseBytes = 65_536

    public init(
        _ method: String, _ url: WebAddress, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// The answer to a request, whatever its status: redirects are answers, too.
public struct OutgoingResponse: Sendable {
    public let status: Int
    public let headers: [(name: String, value: String)]
    /// At most as much as was asked for.
    public let body: [UInt8]
    /// Whether there was more.
    public let isCut: Bool

    /// The value of the first header of this name, which is in lower case.
    public func header(_ lowercased: String) -> String? {
        headers.first { $0.name.lowercased() == lowercased }?.value
    }
}

/// Why there is no answer. The texts are for a person and hold no secret.
public enum OutgoingError: Error, Sendable, Equatable {
    /// The policy of addresses forbids it.
    case refused(String)
    /// No connection: the name, the network, the other side's port or certificate.
    case unreachable(String)
    /// The connection broke, or what came was not the protocol. It may have had its effect.
    case brokenOff(String)
    /// It took too long. It may have had its effect.
    case timedOut
    case cancelled
    /// A mail server's refusal: its reply's number (400 to 599) and text.
    case replied(code: Int, String)
}

/// Ends a request early. Confined to the request's loop.
public final class OutgoingCancellation {
    public private(set) var isCancelled = false
    private var end: (() -> Void)?

    public init() {}

    /// Ends the request at once; before it has begun, it will not begin.
    public func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        let end = end
        self.end = nil
        end?()
    }

    func onCancel(_ end: (() -> Void)?) { self.end = end }
}

/// Why a command has no reply.
public enum RedisError: Error, Sendable, Equatable {
    /// There is no connection; the command was surely not run.
    case unavailable
    /// The connection broke after the command was sent; it may have run.
    case lost
    /// No reply within the budget; it may have run.
    case timeout
    /// Too many commands wait already; it was surely not run.
    case overloaded
    /// Redis answered with an error: its first word, and the whole text.
    case server(code: String, message: String)
    /// A reply of another shape than the command's.
    case unexpectedReply(String)

    public var mayHaveRun: Bool {
        switch self {
        case .lost, .timeout, .unexpectedReply: true
        case .unavailable, .overloaded, .server: false
        }
    }
}

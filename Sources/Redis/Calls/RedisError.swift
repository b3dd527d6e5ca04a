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

    /// Whether the command may have had an effect. A script is not rolled back: where an error ended it, what it had
    /// written before stands; Redis names the line in such an error.
    public var mayHaveRun: Bool {
        switch self {
        case .lost, .timeout, .unexpectedReply: true
        case .server(_, let message): message.contains(", on @user_script:")
        case .unavailable, .overloaded: false
        }
    }
}

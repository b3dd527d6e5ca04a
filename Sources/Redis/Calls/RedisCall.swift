import Bytes

/// Where a command goes: to the node of a key's slot, or to any.
public enum RedisRoute {
    case key(ByteView)
    case any
}

/// One command of the hot path: it encodes itself, again if need be, and hears its reply in place.
public protocol RedisCall: AnyObject {
    /// By which a topology picks the connection.
    var route: RedisRoute { get }

    /// Writes one whole command.
    func encode(to writer: RESPWriter)

    /// Called exactly once, on the loop. The view holds during the call. Error replies arrive as `.server`.
    func completed(_ result: Result<ReplyView, RedisError>)
}

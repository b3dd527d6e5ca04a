/// What answers the requests of one method and path pattern.
public final class Route {
    public let method: HTTPMethod
    /// As it was given: `/api/rules/{id}`.
    public let pattern: String
    /// Bytes of body this route takes; nil for the server's limit.
    public let bodyLimit: Int?
    public let handler: Handler
    /// The place in the order of registration, from 0: an index into tables that are kept per route.
    public let index: Int

    /// Whether the pattern is a plain path.
    var isLiteral: Bool { !pattern.contains("{") && !pattern.hasSuffix("*") }

    init(method: HTTPMethod, pattern: String, bodyLimit: Int?, handler: Handler, index: Int) {
        self.method = method
        self.pattern = pattern
        self.bodyLimit = bodyLimit
        self.handler = handler
        self.index = index
    }
}

/// How a route answers.
public enum Handler {
    /// In the call, or later by itself. Costs nothing beyond the call.
    case immediate((Exchange) throws -> Void)
    /// In a task that stays on the exchange's loop. It must have answered when it returns.
    case async((Exchange) async throws -> Void)
}

/// A request that no route answers.
public enum RoutingError: Error, Equatable {
    case notFound
    /// - Parameter allow: the methods the path has, as the Allow field lists them.
    case methodNotAllowed(allow: String)
    /// The handler returned without an answer.
    case noAnswer
}

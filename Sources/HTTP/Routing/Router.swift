import Bytes
import EventLoops

/// Finds the handler of a request by its method and path.
///
/// Segments match exactly, as they were sent. `{name}` takes one segment that is not empty; a last `*` takes all that is
/// left, slashes included. A path that some route names as a whole is what those routes make of it: another method is
/// refused there, whatever patterns would match it, too. HEAD is answered by GET's handler, whose body is then left out. OPTIONS is answered with the
/// Allow field unless it has a handler.
public final class Router: Responder {
    private let tree = RouteTree()
    private let literals = LiteralRoutes()
    /// In the order of registration.
    public private(set) var routes: [Route] = []

    /// Judges a request by its head when its body is still to come; what it throws is answered at once. `before` judges it
    /// again when the body is there.
    public var beforeBody: ((Exchange, Route) throws -> Void)?

    /// Called before each handler, with the route. False: it has answered, or will, or will call `run` later.
    public var before: ((Exchange, Route) -> Bool)?

    /// The one mapping of errors to answers: what a handler throws, and `RoutingError`.
    public var failed: (any Error, Exchange) -> Void = Router.answer

    public init() {}

    /// Registers a handler.
    /// - Parameters:
    ///   - pattern: `/api/rules/{id}`.
    ///   - bodyLimit: how many bytes of body it takes; nil for the server's limit.
    public func on(_ method: HTTPMethod, _ pattern: String, bodyLimit: Int? = nil, _ handler: Handler) {
        let route = Route(
            method: method, pattern: pattern, bodyLimit: bodyLimit, handler: handler, index: routes.count)
        tree.insert(route)
        if route.isLiteral { literals.insert(method, pattern, index: routes.count) }
        routes.append(route)
    }

    // MARK: Responder

    public func bodyLimit(_ exchange: Exchange) -> Int? {
        var other: RouteTree?
        return find(exchange, &other)?.bodyLimit
    }

    public func admits(_ exchange: Exchange) -> Bool {
        var other: RouteTree?
        guard let route = exchange.route ?? find(exchange, &other) else {
            refuse(exchange, other)
            return false
        }
        do { try beforeBody?(exchange, route) } catch {
            failed(error, exchange)
            return false
        }
        return true
    }

    public func respond(to exchange: Exchange) {
        var other: RouteTree?
        guard let route = exchange.route ?? find(exchange, &other) else { return refuse(exchange, other) }
        if let before, !before(exchange, route) { return }
        run(route, exchange)
    }

    /// Runs the handler of `route`, for a `before` that had to wait.
    public func run(_ route: Route, _ exchange: Exchange) {
        switch route.handler {
        case .immediate(let body):
            let serial = exchange.serial
            do {
                try body(exchange)
            } catch {
                fail(error, exchange, serial)
            }
        case .async(let body):
            let serial = exchange.serial
            exchange.loop.spawn { [self] in
                do {
                    try await body(exchange)
                    // The exchange may serve its next request by now.
                    if exchange.serial == serial, !exchange.isReplied { throw RoutingError.noAnswer }
                } catch {
                    fail(error, exchange, serial)
                }
            }
        }
    }

    // MARK: Inside

    private func find(_ exchange: Exchange, _ other: inout RouteTree?) -> Route? {
        let path = exchange.path
        guard !path.isEmpty, path[0] == 0x2F else { return nil }
        if let index = literals.find(exchange.method, path) {
            let route = routes[index]
            exchange.route = route
            return route
        }
        if literals.has(path) {
            other = tree.literal(path)
            return nil
        }
        let route = tree.find(exchange.method, path, from: 1, &exchange.parameters, &other)
        exchange.route = route
        return route
    }

    private func refuse(_ exchange: Exchange, _ other: RouteTree?) {
        if exchange.method == .options, other != nil || exchange.path == "*" {
            exchange.beginReply(204)
            exchange.addHeader("Allow", other?.allowed ?? "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
            return exchange.finishReply()
        }
        if let other { return failed(RoutingError.methodNotAllowed(allow: other.allowed), exchange) }
        failed(RoutingError.notFound, exchange)
    }

    /// Maps an error to an answer, if there is still one to be given.
    private func fail(_ error: any Error, _ exchange: Exchange, _ serial: Int) {
        guard exchange.serial == serial, exchange.reply != .finished else { return }
        // The status is gone; only a broken connection can still say that the answer is not whole.
        if let stream = exchange.stream { return stream.abort() }
        failed(error, exchange)
    }

    /// Answers for a router without a mapping of its own.
    public static func answer(_ error: any Error, _ exchange: Exchange) {
        switch error {
        case RoutingError.notFound: exchange.replyProblem(404, detail: "There is nothing at this path.")
        case RoutingError.methodNotAllowed(let allow):
            exchange.replyProblem(405, detail: "This path does not have this method.") { $0.addHeader("Allow", allow) }
        default: exchange.replyProblem(500, detail: "The server failed to answer this request.")
        }
    }
}

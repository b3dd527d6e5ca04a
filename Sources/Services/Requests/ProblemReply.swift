import Bytes
import HTTP
import JSON
import Redis
import Telemetry

/// The one mapping from errors to HTTP.
public enum ProblemReply {
    /// Answers `exchange` with the problem document of `error`.
    public static func send(_ error: any Error, to exchange: Exchange, log: Logger) {
        let problem = problem(for: error, log: log)
        exchange.beginReply(problem.kind.status)
        exchange.addHeader("Cache-Control", "no-store")
        if let seconds = problem.retryAfterS { exchange.addHeader("Retry-After", decimal: seconds) }
        if let allow = problem.allow { exchange.addHeader("Allow", allow) }
        if problem.kind == .unauthenticated { exchange.addHeader("WWW-Authenticate", "Bearer") }
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            writeFields(problem, to: &json)
            json.endObject()
        }
    }

    /// Writes the document's members into an object that is already begun.
    /// - Parameters:
    ///   - type: one that is defined elsewhere; nil for our own.
    ///   - title: of that type.
    public static func writeFields(
        _ problem: Problem, type: String? = nil, title: StaticString? = nil, to json: inout JSONWriter
    ) {
        json.field("type", type ?? "/problems/" + problem.kind.rawValue)
        json.field("title", title ?? problem.kind.title)
        json.field("status", problem.kind.status)
        let detail = cut(problem.detail)
        json.field("detail", detail)
        json.field("error", detail)
        if let field = problem.field { json.field("field", field) }
    }

    /// What an error says to whoever runs the program.
    public static func words(_ error: any Error) -> String { (error as? Problem)?.detail ?? "\(error)" }

    /// A detail that repeats what a client sent is as long as a sentence may be, not as long as that.
    private static func cut(_ detail: String) -> String {
        guard detail.utf8.count > longestDetail else { return detail }
        return String(decoding: detail.utf8.prefix(longestDetail), as: UTF8.self) + "…"
    }

    private static let longestDetail = 1000

    /// What an error is to whoever asked; one that nobody expects is logged.
    /// - Parameter log: nil when that is done elsewhere.
    public static func problem(for error: any Error, log: Logger?) -> Problem {
        switch error {
        case let problem as Problem:
            return problem
        case RoutingError.notFound:
            return Problem(.notFound, "there is nothing at this path")
        case RoutingError.methodNotAllowed(let allow):
            var problem = Problem(.methodNotAllowed, "this path takes \(allow)")
            problem.allow = allow
            return problem
        case let error as JSONError:
            if let field = error.field {
                return .field(
                    field, error.kind == .repeatedKey ? "must not occur twice" : "must be a number within ±(2^53−1)")
            }
            return Problem(.invalidRequest, "the body is not the JSON that is expected: \(error.description)")
        case let error as RedisError:
            return store(error, log: log)
        default:
            log?.error("unexpected error in a handler", ["error": .string(String(describing: error))])
            return Problem(.internalError, "something went wrong here; it has been logged")
        }
    }

    /// Whether Redis says that it will be able to later: a slot is on the move, it is loading, is a replica now, has lost
    /// its own replicas.
    private static func isPassing(_ error: RedisError, _ code: String) -> Bool {
        error.isElsewhere || ["BUSY", "MISCONF", "NOREPLICAS"].contains(code)
    }

    private static func store(_ error: RedisError, log: Logger?) -> Problem {
        if case .server(let code, let message) = error {
            if code == "OOM" { return Problem(.storeFull, "the store is full", retryAfterS: 1) }
            if isPassing(error, code) {
                return Problem(.unavailable, "the store cannot serve this now", retryAfterS: 1)
            }
            log?.error("redis refused a command", ["code": .string(code), "message": .string(message)])
            return Problem(.internalError, "something went wrong here; it has been logged")
        }
        let doubt = error.mayHaveRun ? "; the request may have taken effect" : ""
        return Problem(.unavailable, "the store did not answer in time\(doubt)", retryAfterS: 1)
    }
}

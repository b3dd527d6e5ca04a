/// What can be wrong with a request, or with us: one value per answer that is not a success.
///
/// Services throw it; `ProblemReply` is the one place that turns it, and every other error, into HTTP
/// (`application/problem+json`, RFC 9457).
public struct Problem: Error, Sendable, Equatable {
    /// The small vocabulary of the border. The raw value is the last part of the document's `type`.
    public enum Kind: String, Sendable, CaseIterable {
        case invalidRequest = "invalid-request"
        case unauthenticated = "unauthenticated"
        case forbidden = "forbidden"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case conflict = "conflict"
        case preconditionFailed = "precondition-failed"
        case tooLarge = "too-large"
        case unsupportedMediaType = "unsupported-media-type"
        case impossible = "impossible"
        case tooManyRequests = "too-many-requests"
        case internalError = "internal-error"
        case unavailable = "unavailable"
        case storeFull = "store-full"
    }

    public var kind: Kind
    /// What happened, for a person; shown to the client, so it never holds a secret or an inside.
    public var detail: String
    /// The field at fault, with dots between levels (`match.endpoint`).
    public var field: String?
    /// Seconds after which trying again makes sense.
    public var retryAfterS: Int?
    /// The methods a 405 allows.
    public var allow: String?

    public init(_ kind: Kind, _ detail: String, field: String? = nil, retryAfterS: Int? = nil) {
        self.kind = kind
        self.detail = detail
        self.field = field
        self.retryAfterS = retryAfterS
    }

    /// A field that is wrong: malformed, of another type, out of range, unknown.
    public static func field(_ name: String, _ detail: String) -> Problem {
        Problem(.invalidRequest, "\(name) \(detail)", field: name)
    }

    /// A field that is well formed and yet impossible.
    public static func impossible(_ name: String, _ detail: String) -> Problem {
        Problem(.impossible, "\(name) \(detail)", field: name)
    }
}

extension Problem.Kind {
    public var status: Int {
        switch self {
        case .invalidRequest: 400
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .conflict: 409
        case .preconditionFailed: 412
        case .tooLarge: 413
        case .unsupportedMediaType: 415
        case .impossible: 422
        case .tooManyRequests: 429
        case .internalError: 500
        case .unavailable, .storeFull: 503
        }
    }

    public var title: StaticString {
        switch self {
        case .invalidRequest: "Bad Request"
        case .unauthenticated: "Unauthorized"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .conflict: "Conflict"
        case .preconditionFailed: "Precondition Failed"
        case .tooLarge: "Content Too Large"
        case .unsupportedMediaType: "Unsupported Media Type"
        case .impossible: "Unprocessable Content"
        case .tooManyRequests: "Too Many Requests"
        case .internalError: "Internal Server Error"
        case .unavailable, .storeFull: "Service Unavailable"
        }
    }
}

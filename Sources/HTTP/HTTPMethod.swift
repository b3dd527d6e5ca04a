import Bytes

/// The request methods this server serves. Any other is refused with 501.
public enum HTTPMethod: UInt8, Sendable, CaseIterable {
    case get, head, post, put, patch, delete, options

    /// As it is written in a request line.
    public var name: StaticString {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        }
    }

    /// Methods are case-sensitive (RFC 9110, section 9.1).
    init?(_ name: ByteView) {
        switch name.count {
        case 3:
            if name == "GET" { self = .get } else if name == "PUT" { self = .put } else { return nil }
        case 4:
            if name == "POST" { self = .post } else if name == "HEAD" { self = .head } else { return nil }
        case 5 where name == "PATCH": self = .patch
        case 6 where name == "DELETE": self = .delete
        case 7 where name == "OPTIONS": self = .options
        default: return nil
        }
    }
}

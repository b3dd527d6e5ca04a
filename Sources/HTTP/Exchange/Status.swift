import Bytes

/// Status lines and reason phrases (RFC 9110, section 15).
public enum Status {
    /// The whole line, for the codes this program answers with; nil for others.
    static func line(_ status: Int) -> StaticString? {
        switch status {
        case 200: "HTTP/1.1 200 OK\r\n"
        case 201: "HTTP/1.1 201 Created\r\n"
        case 202: "HTTP/1.1 202 Accepted\r\n"
        case 204: "HTTP/1.1 204 No Content\r\n"
        case 304: "HTTP/1.1 304 Not Modified\r\n"
        case 400: "HTTP/1.1 400 Bad Request\r\n"
        case 401: "HTTP/1.1 401 Unauthorized\r\n"
        case 403: "HTTP/1.1 403 Forbidden\r\n"
        case 404: "HTTP/1.1 404 Not Found\r\n"
        case 405: "HTTP/1.1 405 Method Not Allowed\r\n"
        case 408: "HTTP/1.1 408 Request Timeout\r\n"
        case 409: "HTTP/1.1 409 Conflict\r\n"
        case 412: "HTTP/1.1 412 Precondition Failed\r\n"
        case 413: "HTTP/1.1 413 Content Too Large\r\n"
        case 415: "HTTP/1.1 415 Unsupported Media Type\r\n"
        case 417: "HTTP/1.1 417 Expectation Failed\r\n"
        case 422: "HTTP/1.1 422 Unprocessable Content\r\n"
        case 429: "HTTP/1.1 429 Too Many Requests\r\n"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 500: "HTTP/1.1 500 Internal Server Error\r\n"
        case 501: "HTTP/1.1 501 Not Implemented\r\n"
        case 503: "HTTP/1.1 503 Service Unavailable\r\n"
        case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
        default: nil
        }
    }

    /// The words for a code: `Not Found`; for a code not known here, `Status`.
    public static func reason(_ status: Int) -> ByteView {
        guard let line = line(status).map({ ByteView($0) }) else { return ByteView("Status") }
        return line.slice(13, line.count - 2)
    }

    static func appendLine(_ status: Int, to buffer: ByteBuffer) {
        if let line = line(status) { return buffer.append(line) }
        precondition(status >= 200 && status <= 599, "\(status) is no final status code")
        buffer.append("HTTP/1.1 ")
        buffer.append(decimal: status)
        buffer.append(" Status\r\n")
    }

    /// Whether an answer with this status never has a body, nor a length.
    static func isBodyless(_ status: Int) -> Bool { status == 204 || status == 304 }
}

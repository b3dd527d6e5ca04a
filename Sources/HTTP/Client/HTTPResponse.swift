import Bytes
import JSON

/// A whole response.
public struct HTTPResponse: Sendable {
    public let status: Int
    /// In the order they came; names as they were sent.
    public let fields: [(name: String, value: String)]
    public let body: [UInt8]

    /// The value of the first field with this name, whatever its case.
    public func field(_ name: String) -> String? {
        let name = name.lowercased()
        return fields.first { $0.name.lowercased() == name }?.value
    }

    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON.
    public var json: JSONValue {
        get throws(JSONError) {
            // A closure of its own would lose the type of the error.
            let result: Result<JSONValue, JSONError> = body.withByteView { view in
                do throws(JSONError) {
                    return .success(try JSONValue(parsing: view))
                } catch {
                    return .failure(error)
                }
            }
            return try result.get()
        }
    }
}

/// Why there is no response.
public enum HTTPClientError: Error, Equatable, CustomStringConvertible {
    /// No connection could be made.
    case unreachable(String)
    /// The connection ended before the response did. The server may have acted on the request.
    case connectionLost
    /// The time for the request is over. The server may have acted on it.
    case timeout
    /// What came is no response of HTTP/1.
    case malformed(String)
    /// Instead of a stream of events the server sent this (the body cut off after 64 KiB).
    case refused(status: Int, body: [UInt8])
    /// The response is larger than the client takes.
    case tooLarge
    /// The client was closed.
    case closed

    public var description: String {
        switch self {
        case .unreachable(let reason): "no connection could be made: \(reason)"
        case .connectionLost: "the connection ended before the response did"
        case .timeout: "no response in time"
        case .malformed(let what): "the response is malformed: \(what)"
        case .refused(let status, _): "the response has status \(status)"
        case .tooLarge: "the response is too large"
        case .closed: "the client was closed"
        }
    }
}

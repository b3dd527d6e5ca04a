import Bytes
import Glibc

/// Finds HTTP/1.1 responses at the front of what a connection has received. It knows what a load test needs of them: the
/// status, the body, and whether the connection ends. Bodies must have a Content-Length.
struct ResponseParser {
    struct Response: Equatable {
        let status: Int
        /// Where the body lies, counted from the front of the received bytes.
        let body: Range<Int>
        /// Whether the server closes the connection after this response.
        let closes: Bool
    }

    enum Outcome: Equatable {
        case incomplete
        case response(Response)
        /// The server sends what this client cannot count.
        case invalid(String)
    }

    /// A longer head than this is no response of ours.
    static let maxHeadBytes = 65536

    /// How far the end of the head was looked for, so that a head in pieces is looked through once.
    private var searched = 0
    private var head: Response?

    /// Looks at all bytes received and not yet consumed. After a response the caller consumes `body.upperBound` bytes.
    mutating func parse(_ received: ByteView) -> Outcome {
        let response: Response
        if let head {
            response = head
        } else {
            guard let end = endOfHead(received) else {
                return received.count > ResponseParser.maxHeadBytes ? .invalid("a head without end") : .incomplete
            }
            switch ResponseParser.read(received.slice(0, end)) {
            case .response(let found): response = found
            case let other: return other
            }
        }
        guard received.count >= response.body.upperBound else {
            head = response
            return .incomplete
        }
        head = nil
        searched = 0
        return .response(response)
    }

    private mutating func endOfHead(_ received: ByteView) -> Int? {
        let from = max(0, searched - 3)
        guard let found = memmem(received.base + from, received.count - from, "\r\n\r\n", 4) else {
            searched = received.count
            return nil
        }
        return UnsafeRawPointer(found) - UnsafeRawPointer(received.base) + 4
    }

    /// Reads a whole head, its empty line included.
    private static func read(_ head: ByteView) -> Outcome {
        guard head.count >= 13, head.hasPrefix("HTTP/1.1 "), head[12] == 0x20 || head[12] == 0x0D,
            let status = head.slice(9, 12).decimal, status >= 200
        else { return .invalid("no final HTTP/1.1 status line") }
        var length: Int?
        var closes = false
        var line = head.firstIndex(of: 0x0A).map { $0 + 1 } ?? head.count
        while line < head.count, let newline = head.firstIndex(of: 0x0A, from: line) {
            // Only the first letters of the headers that matter are looked at closer.
            switch head[line] | 0x20 {
            case 0x63:
                let field = head.slice(line, newline)
                if let value = value(of: "content-length", in: field) {
                    guard let number = value.decimal else { return .invalid("a bad Content-Length") }
                    length = number
                } else if let value = value(of: "connection", in: field) {
                    closes = value.equalsIgnoringCase("close")
                }
            case 0x74:
                if value(of: "transfer-encoding", in: head.slice(line, newline)) != nil {
                    return .invalid("a body without Content-Length")
                }
            default: break
            }
            line = newline + 1
        }
        if status == 204 || status == 304 { length = 0 }
        guard let length else { return .invalid("a body without Content-Length") }
        return .response(Response(status: status, body: head.count..<head.count + length, closes: closes))
    }

    private static func value(of name: StaticString, in field: ByteView) -> ByteView? {
        let n = name.utf8CodeUnitCount
        guard field.count > n, field[n] == 0x3A, field.slice(0, n).equalsIgnoringCase(name) else { return nil }
        let value = field.dropFirst(n + 1)
        return (value.isEmpty || value[value.count - 1] != 0x0D ? value : value.slice(0, value.count - 1)).trimmed
    }
}

extension ByteView {
    func contains(_ text: ByteView) -> Bool { memmem(base, count, text.base, text.count) != nil }

    /// How often `text` occurs, not overlapping itself; the empty text never.
    func occurrences(of text: ByteView) -> Int {
        guard !text.isEmpty else { return 0 }
        var found = 0
        var rest = self
        while let at = memmem(rest.base, rest.count, text.base, text.count) {
            found += 1
            rest = rest.dropFirst(UnsafeRawPointer(at) - UnsafeRawPointer(rest.base) + text.count)
        }
        return found
    }
}

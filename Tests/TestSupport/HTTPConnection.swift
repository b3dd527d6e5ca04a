import Bytes
import EventLoops
import JSON

/// An answer as a test looks at it.
public struct HTTPAnswer: Sendable {
    public var status: Int
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8] = []

    /// The value of the first header of this name.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON; nil when it is none.
    public var json: JSONValue? { body.withByteView { try? JSONValue(parsing: $0) } }
}

/// One event of a stream of server-sent events.
public struct ServerSentEvent: Sendable, Equatable {
    public var id = ""
    public var name = ""
    public var data = ""

    public var json: JSONValue? { data.withByteView { try? JSONValue(parsing: $0) } }
}

/// A blocking connection to an HTTP server. Requests may be sent ahead of reading their answers.
public final class HTTPConnection {
    private let socket: BlockingSocket
    private var events: [UInt8] = []

    public init(_ address: Sockets.Address) throws { socket = try BlockingSocket(address) }

    /// Takes over a connected socket.
    public init(descriptor: Int32) { socket = BlockingSocket(descriptor: descriptor) }

    /// Sends one request and reads its answer.
    public func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPAnswer {
        try send([HTTPConnection.encode(method, target, headers: headers, body: body)])
        return try receive(isHead: method == "HEAD")
    }

    /// The bytes of a request.
    public static func encode(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) -> [UInt8] {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body {
            if !headers.contains(where: { $0.0.lowercased() == "content-type" }) {
                head += "Content-Type: application/json\r\n"
            }
            head += "Content-Length: \(body.utf8.count)\r\n"
        }
        return Array((head + "\r\n" + (body ?? "")).utf8)
    }

    /// Sends requests in one write.
    public func send(_ requests: [[UInt8]]) throws { try socket.send(Array(requests.joined())) }

    /// Reads the next answer.
    public func receive(isHead: Bool = false) throws -> HTTPAnswer {
        var answer = try receiveHead()
        if isHead || answer.status == 204 || answer.status == 304 { return answer }
        if answer.header("Transfer-Encoding") == "chunked" {
            while let chunk = try receiveChunk() { answer.body += chunk }
        } else if let length = answer.header("Content-Length").flatMap({ Int($0) }) {
            answer.body = try socket.read(length)
        }
        return answer
    }

    // MARK: Server-sent events

    /// Begins to receive events; the answer's head.
    public func subscribe(_ target: String, headers: [(String, String)] = []) throws -> HTTPAnswer {
        try send([HTTPConnection.encode("GET", target, headers: headers)])
        let answer = try receiveHead()
        guard answer.status == 200 else { throw SetUpFailure("\(target) answered \(answer.status)") }
        return answer
    }

    /// The next event; comments are passed over, and so it is not enough that something comes.
    public func nextEvent() throws -> ServerSentEvent {
        let endUs = MonotonicClock.nowUs() + longestWaitUs
        while MonotonicClock.nowUs() < endUs {
            if let event = takeEvent() {
                if event != ServerSentEvent() { return event }
                continue
            }
            guard let chunk = try receiveChunk() else { throw SetUpFailure("the stream has ended") }
            events += chunk
        }
        throw SetUpFailure("no event came within 30 s")
    }

    private func takeEvent() -> ServerSentEvent? {
        guard let end = events.indices.dropFirst().first(where: { events[$0] == 10 && events[$0 - 1] == 10 }) else {
            return nil
        }
        var event = ServerSentEvent()
        for line in String(decoding: events[..<end], as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            var value = parts.count == 2 ? parts[1] : ""
            if value.hasPrefix(" ") { value = value.dropFirst() }
            switch parts[0] {
            case "id": event.id = String(value)
            case "event": event.name = String(value)
            case "data": event.data += (event.data.isEmpty ? "" : "\n") + value
            default: break
            }
        }
        events.removeFirst(end + 1)
        return event
    }

    // MARK: Inside

    private func receiveHead() throws -> HTTPAnswer {
        while true {
            let line = try socket.readLine()
            guard line.hasPrefix("HTTP/1.1 "), let status = Int(line.dropFirst(9).prefix(3)) else {
                throw SetUpFailure("no status line: \(line)")
            }
            var answer = HTTPAnswer(status: status)
            while true {
                let line = try socket.readLine()
                if line.isEmpty { break }
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { throw SetUpFailure("no header: \(line)") }
                answer.headers.append((String(parts[0]), String(parts[1].drop { $0 == " " })))
            }
            if status >= 200 { return answer }
        }
    }

    /// nil for the last one.
    private func receiveChunk() throws -> [UInt8]? {
        let line = try socket.readLine()
        guard let size = Int(line, radix: 16) else { throw SetUpFailure("no chunk size: \(line)") }
        let chunk = try socket.read(size)
        _ = try socket.readLine()
        return size == 0 ? nil : chunk
    }
}

import Bytes
import EventLoops

/// A small client of one server over plain HTTP/1.1, for the command line and for tests. Confined to its loop.
///
/// Connections are kept and used again. Requests that are under way together each have a connection.
public final class HTTPClient {
    private static let maxBodyBytes = 64 << 20

    private let loop: EventLoop
    private let address: Sockets.Address
    private let host: String
    private var idle: [ClientConnection] = []
    private var underWay: [ObjectIdentifier: (HTTPClientError) -> Void] = [:]
    private var isClosed = false

    /// - Parameter host: what the Host field says.
    public init(loop: EventLoop, address: Sockets.Address, host: String) {
        self.loop = loop
        self.address = address
        self.host = host
    }

    /// Sends a request and waits for the whole response.
    ///
    /// A kept connection may turn out to have ended before the request reached the server; one that can be repeated
    /// without harm (RFC 9110, section 9.2.2) is then sent once more.
    public func send(
        _ method: HTTPMethod, _ target: String, headers: [(String, String)] = [], body: [UInt8]? = nil,
        timeoutUs: Int64 = 30_000_000
    ) async throws(HTTPClientError) -> HTTPResponse {
        let request = encode(method, target, headers, body)
        let endUs = loop.nowUs + timeoutUs
        while true {
            let (connection, isFresh) = try takeConnection()
            let result = await exchange(connection, request, isHead: method == .head, timeoutUs: endUs - loop.nowUs)
            switch result {
            case .success(let response): return response
            case .failure(.connectionLost) where !isFresh && !connection.hasHeard && HTTPClient.isRepeatable(method):
                continue
            case .failure(let error): throw error
            }
        }
    }

    /// Subscribes to server-sent events. A response with another status than 200 is thrown as `.refused`.
    public func openEvents(
        _ target: String, headers: [(String, String)] = [], timeoutUs: Int64 = 30_000_000
    ) async throws(HTTPClientError) -> EventSource {
        if isClosed { throw .closed }
        let connection = try ClientConnection(loop: loop, address: address)
        let source = EventSource(connection)
        let request = encode(.get, target, headers + [("Accept", "text/event-stream")], nil)
        underWay[ObjectIdentifier(connection)] = { [weak source] in source?.fail($0) }
        source.onEnd = { [weak self] in self?.underWay[ObjectIdentifier(connection)] = nil }
        let timer = loop.after(us: timeoutUs) { [weak source] in source?.fail(.timeout) }
        connection.send(request.view, isHead: false) { source.receive($0) }
        defer { timer.cancel() }
        try await source.begin()
        return source
    }

    /// Ends all connections; what is under way fails with `.closed`.
    public func close() {
        isClosed = true
        idle = []
        let failing = underWay
        underWay = [:]
        for fail in failing.values { fail(.closed) }
    }

    // MARK: Inside

    private static func isRepeatable(_ method: HTTPMethod) -> Bool { method != .post && method != .patch }

    private func takeConnection() throws(HTTPClientError) -> (ClientConnection, isFresh: Bool) {
        if isClosed { throw .closed }
        if let connection = idle.popLast() {
            connection.onIdleEnd = nil
            return (connection, false)
        }
        return (try ClientConnection(loop: loop, address: address), true)
    }

    private func keep(_ connection: ClientConnection) {
        guard connection.isReusable, !isClosed else { return connection.end() }
        connection.onIdleEnd = { [unowned self, unowned connection] in idle.removeAll { $0 === connection } }
        idle.append(connection)
    }

    private func exchange(
        _ connection: ClientConnection, _ request: ByteBuffer, isHead: Bool, timeoutUs: Int64
    ) async -> Result<HTTPResponse, HTTPClientError> {
        var timer: LoopTimer?
        let result = await withUnsafeContinuation { continuation in
            var finish: ((Result<HTTPResponse, HTTPClientError>) -> Void)? = { continuation.resume(returning: $0) }
            let complete = { [self] (result: Result<HTTPResponse, HTTPClientError>) in
                guard let resume = finish else { return }
                finish = nil
                underWay[ObjectIdentifier(connection)] = nil
                if case .success = result { keep(connection) } else { connection.end() }
                resume(result)
            }
            underWay[ObjectIdentifier(connection)] = { complete(.failure($0)) }
            timer = loop.after(us: timeoutUs) { complete(.failure(.timeout)) }
            var head: (status: Int, fields: [(name: String, value: String)]) = (0, [])
            var body: [UInt8] = []
            connection.send(request.view, isHead: isHead) { event in
                switch event {
                case .head(let status, let fields): head = (status, fields)
                case .data(let bytes):
                    body.append(contentsOf: bytes.buffer)
                    if body.count > HTTPClient.maxBodyBytes { complete(.failure(.tooLarge)) }
                case .end: complete(.success(HTTPResponse(status: head.status, fields: head.fields, body: body)))
                case .failed(let error): complete(.failure(error))
                }
            }
        }
        timer?.cancel()
        return result
    }

    private func encode(
        _ method: HTTPMethod, _ target: String, _ headers: [(String, String)], _ body: [UInt8]?
    ) -> ByteBuffer {
        let request = ByteBuffer()
        request.append(method.name)
        request.append(0x20)
        request.append(target)
        request.append(" HTTP/1.1\r\nHost: ")
        request.append(host)
        request.append("\r\n")
        for (name, value) in headers {
            precondition(!(name + value).utf8.contains { $0 == 13 || $0 == 10 }, "a header field of two lines")
            request.append(name)
            request.append(": ")
            request.append(value)
            request.append("\r\n")
        }
        if let body {
            request.append("Content-Length: ")
            request.append(decimal: body.count)
            request.append("\r\n")
        }
        request.append("\r\n")
        if let body { request.append(body) }
        return request
    }
}

import EventLoops
import Glibc

/// A server on the loopback that does with each connection what a test says, on a blocking thread of its own.
public final class ScriptedPeer: Sendable {
    public let port: Int
    private let listener: Int32

    /// - Parameter script: run for each connection, which is closed when it returns or throws. The number counts them.
    public init(_ script: @escaping @Sendable (BlockingSocket, Int) throws -> Void) throws {
        listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: 0), sharesPort: false)
        guard let port = Sockets.localPort(listener) else { throw SetUpFailure("the listener has no port") }
        self.port = port
        _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK)
        Threads.start("test-peer") { [listener] in
            var count = 0
            while true {
                let accepted = accept(listener, nil, nil)
                if accepted < 0, errno == EINTR { continue }
                guard accepted >= 0 else { break }
                let number = count
                count += 1
                Threads.start("test-peer-\(number)") { try? script(BlockingSocket(descriptor: accepted), number) }
            }
            close(listener)
        }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }
}

/// A request as it came over the wire.
public struct ReceivedRequest: Sendable {
    public var method: String
    public var target: String
    public var headers: [(name: String, value: String)] = []
    public var body: [UInt8] = []
    /// Counts the server's connections.
    public var connection: Int

    /// The values of the headers of this name, in order.
    public func values(_ name: String) -> [String] {
        headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// An HTTP server that keeps what it got and answers as a test says.
public final class HTTPReceiver: Sendable {
    public let requests: Journal<ReceivedRequest>
    /// Numbers of the connections that have ended.
    public let ended: Journal<Int>
    private let peer: ScriptedPeer

    public var port: Int { peer.port }
    public var url: String { "http://127.0.0.1:\(port)" }

    /// - Parameter answer: the bytes to answer with; nil: none ever.
    public init(
        _ answer: @escaping @Sendable (ReceivedRequest) -> String? = { _ in HTTPReceiver.answer(200) }
    ) throws {
        let requests = Journal<ReceivedRequest>()
        let ended = Journal<Int>()
        self.requests = requests
        self.ended = ended
        peer = try ScriptedPeer { socket, number in
            defer { ended.add(number) }
            while true {
                let request = try HTTPReceiver.receive(socket, number)
                requests.add(request)
                guard let answer = answer(request) else {
                    _ = try? socket.read(1)
                    return
                }
                try socket.send(Array(answer.utf8))
                if answer.contains("Connection: close") { return }
            }
        }
    }

    /// The text of an answer.
    public static func answer(
        _ status: Int, headers: [(String, String)] = [], body: String = ""
    ) -> String {
        var head = "HTTP/1.1 \(status) Word\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        return head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body
    }

    private static func receive(_ socket: BlockingSocket, _ number: Int) throws -> ReceivedRequest {
        let words = try socket.readLine().split(separator: " ").map(String.init)
        guard words.count == 3 else { throw SetUpFailure("no request line: \(words)") }
        var request = ReceivedRequest(method: words[0], target: words[1], connection: number)
        while true {
            let line = try socket.readLine()
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw SetUpFailure("no header: \(line)") }
            request.headers.append((String(parts[0]), String(parts[1].drop { $0 == " " })))
        }
        if let length = request.values("content-length").first.flatMap({ Int($0) }) {
            request.body = try socket.read(length)
        }
        return request
    }
}

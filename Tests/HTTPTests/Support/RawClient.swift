import Bytes
import EventLoops
import Glibc

/// A blocking socket and a lenient reader of responses, independent of the code under test. Reads give up after 30 s.
final class RawClient {
    struct Response: Equatable {
        var status: Int
        var fields: [String]
        var body: String

        /// The value of the first field with this name.
        func field(_ name: String) -> String? {
            fields.first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }.map {
                String($0.dropFirst(name.count + 2))
            }
        }
    }

    struct Ended: Error {}

    let descriptor: Int32
    private(set) var unread: [UInt8] = []
    private let owner: AnyObject?

    init(_ address: Sockets.Address, owner: AnyObject? = nil) throws {
        self.owner = owner
        descriptor = try Sockets.connect(address)
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
        var timeout = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends what the other side takes. False when it takes no more; that is for the test to judge.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    func get(_ path: String, _ fields: String = "") -> Bool { send("GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n") }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Leaves with a reset instead of an orderly end.
    func reset() {
        var abortive = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abortive, socklen_t(MemoryLayout<linger>.size))
        // Closed as well, by putting something harmless in its place: `deinit` closes what is there.
        let nothing = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        dup2(nothing, descriptor)
        close(nothing)
    }

    /// False at the end of the stream, or when it was reset.
    func fill() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        if count > 0 { unread += bytes[..<count] }
        return count > 0
    }

    /// Reads on and forgets what has been read, until it ends in `last`; `heard` is told how much came each time.
    func readOn(until last: String, _ heard: (Int) -> Void) {
        while fill() {
            heard(unread.count)
            if unread.suffix(last.utf8.count).elementsEqual(last.utf8) { return }
            unread = []
        }
    }

    /// Whether the other side ends the connection without sending more.
    func isAtEnd() -> Bool { unread.isEmpty && !fill() }

    func readLine() throws -> String {
        while true {
            if let end = unread.firstIndex(of: 10) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread.removeFirst(end + 1)
                return line.hasSuffix("\r") ? String(line.dropLast()) : line
            }
            guard fill() else { throw Ended() }
        }
    }

    func read(_ count: Int) throws -> String {
        while unread.count < count {
            guard fill() else { throw Ended() }
        }
        defer { unread.removeFirst(count) }
        return String(decoding: unread[..<count], as: UTF8.self)
    }

    /// The next response, whatever its framing.
    /// - Parameter isHead: it answers a HEAD request, so it has no body.
    func response(isHead: Bool = false) throws -> Response {
        let status = try Int(readLine().dropFirst(9).prefix(3)) ?? 0
        var response = Response(status: status, fields: [], body: "")
        while true {
            let line = try readLine()
            if line.isEmpty { break }
            response.fields.append(line)
        }
        if isHead || status == 204 || status == 304 || status < 200 { return response }
        if response.field("Transfer-Encoding") == "chunked" {
            while let size = Int(try readLine(), radix: 16), size > 0 {
                response.body += try read(size)
                _ = try readLine()
            }
            _ = try readLine()
        } else if let length = response.field("Content-Length").flatMap({ Int($0) }) {
            response.body = try read(length)
        } else {
            while fill() {}
            response.body = try read(unread.count)
        }
        return response
    }
}

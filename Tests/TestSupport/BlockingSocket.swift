import EventLoops
import Glibc

/// A blocking socket whose reads and writes give up after 30 s: the tests' own end of a connection, independent of the
/// code under test.
public final class BlockingSocket {
    public struct Ended: Error, CustomStringConvertible {
        public let description: String
    }

    public let descriptor: Int32
    /// What has been received and not been taken yet.
    public private(set) var unread: [UInt8] = []
    private var taken = 0

    public convenience init(_ address: Sockets.Address) throws {
        self.init(descriptor: try Sockets.connect(address))
    }

    /// Takes over a connected socket.
    public init(descriptor: Int32) {
        signal(SIGPIPE, SIG_IGN)
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        var timeout = timeval(tv_sec: Int(longestWaitUs / 1_000_000), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { throw Ended(description: "sending: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// Up to and without the next line feed, and without a carriage return before it.
    public func readLine() throws -> String {
        while true {
            if let end = unread[taken...].firstIndex(of: 10) {
                let line = unread[taken..<end]
                taken = end + 1
                return String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
            }
            try fill()
        }
    }

    public func read(_ count: Int) throws -> [UInt8] {
        while unread.count - taken < count { try fill() }
        defer { taken += count }
        return Array(unread[taken..<taken + count])
    }

    private func fill() throws {
        if taken > 0 {
            unread.removeFirst(taken)
            taken = 0
        }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw Ended(description: "nothing came: \(String(cString: strerror(errno)))") }
            if count == 0 { throw Ended(description: "the other side has closed") }
            unread += bytes[..<count]
            return
        }
    }
}

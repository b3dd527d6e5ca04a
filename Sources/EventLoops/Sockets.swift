import CLinux
import Glibc

/// Stream sockets, all non-blocking and closed on exec.
public enum Sockets {
    /// Where to listen or connect.
    public enum Address: Sendable, Equatable {
        /// A numeric IPv4 or IPv6 address and a port (0: any).
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    /// A call that failed, as the operating system put it.
    public struct Failure: Error, CustomStringConvertible {
        public let call: String
        public let code: Int32

        public init(call: String, code: Int32) {
            self.call = call
            self.code = code
        }

        public var description: String { "\(call): \(String(cString: strerror(code)))" }
    }

    /// A listening socket.
    /// - Parameter sharesPort: SO_REUSEPORT, so that each loop has a listener of its own on one port.
    public static func listen(_ address: Address, sharesPort: Bool, backlog: Int32 = 4096) throws(Failure) -> Int32 {
        let descriptor = try make(address)
        var on: Int32 = 1
        if case .tcp = address {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
            if sharesPort {
                setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        guard try withAddress(address, of: descriptor, { qm_bind(descriptor, $0, $1) }) == 0 else {
            throw closing(descriptor, "bind")
        }
        guard Glibc.listen(descriptor, backlog) == 0 else { throw closing(descriptor, "listen") }
        return descriptor
    }

    /// A socket whose connection is under way; it becomes writable when it is made or has failed (`connectError`).
    public static func connect(_ address: Address) throws(Failure) -> Int32 {
        let descriptor = try make(address)
        let result = try withAddress(address, of: descriptor) { qm_connect(descriptor, $0, $1) }
        guard result == 0 || errno == EINPROGRESS || errno == EAGAIN else { throw closing(descriptor, "connect") }
        setNoDelay(descriptor)
        return descriptor
    }

    /// The next waiting connection, or nil when there is none for now.
    public static func accept(_ listener: Int32) throws(Failure) -> Int32? {
        while true {
            let descriptor = qm_accept(listener)
            if descriptor >= 0 {
                setNoDelay(descriptor)
                return descriptor
            }
            switch errno {
            case EAGAIN: return nil
            // One that left before it was taken says nothing of those behind it.
            case ECONNABORTED, EINTR: continue
            default: throw Failure(call: "accept", code: errno)
            }
        }
    }

    /// The error a connection attempt ended in, or 0.
    public static func connectError(_ descriptor: Int32) -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    /// The port a TCP listener got.
    public static func localPort(_ descriptor: Int32) -> Int? {
        endpoint(descriptor, qm_sockname)?.port
    }

    /// Whether a TCP socket is connected to itself. On the loopback an attempt to a port of the ephemeral range where nobody
    /// listens may be given that very port as its own, and then succeeds, and keeps the port from whoever wants to listen.
    public static func isConnectedToItself(_ descriptor: Int32) -> Bool {
        guard let own = endpoint(descriptor, qm_sockname), let peer = endpoint(descriptor, qm_peername) else {
            return false
        }
        return own == peer
    }

    /// The other side's numeric address; nil for a unix socket. It fails when the other side has left already, which
    /// must not pass for a unix socket: those are trusted.
    public static func peerAddress(_ descriptor: Int32) throws(Failure) -> String? {
        if let host = endpoint(descriptor, qm_peername)?.host { return host }
        var family: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &length) == 0, family == AF_UNIX else {
            throw Failure(call: "getpeername", code: ENOTCONN)
        }
        return nil
    }

    // MARK: Inside

    private static func make(_ address: Address) throws(Failure) -> Int32 {
        let family: Int32
        switch address {
        case .unix: family = AF_UNIX
        case .tcp(let host, _): family = host.contains(":") ? AF_INET6 : AF_INET
        }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", code: errno) }
        return descriptor
    }

    private static func closing(_ descriptor: Int32, _ call: String) -> Failure {
        let failure = Failure(call: call, code: errno)
        close(descriptor)
        return failure
    }

    private static func setNoDelay(_ descriptor: Int32) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// An address that cannot be written as the system has it closes the descriptor it was for.
    private static func withAddress(
        _ address: Address, of descriptor: Int32, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Failure) -> Int32 {
        do { return try withAddress(address, body) } catch {
            close(descriptor)
            throw error
        }
    }

    private static func withAddress(
        _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Failure) -> Int32 {
        var storage = sockaddr_storage()
        let length: Int
        switch address {
        case .unix(let path):
            var unix = sockaddr_un()
            unix.sun_family = sa_family_t(AF_UNIX)
            guard path.utf8.count < MemoryLayout.size(ofValue: unix.sun_path) else {
                throw Failure(call: "unix socket path", code: ENAMETOOLONG)
            }
            withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: path.utf8) }
            length = MemoryLayout<sockaddr_un>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: unix, as: sockaddr_un.self) }
        case .tcp(let host, let port) where host.contains(":"):
            var ip6 = sockaddr_in6()
            ip6.sin6_family = sa_family_t(AF_INET6)
            ip6.sin6_port = in_port_t(port).bigEndian
            guard inet_pton(AF_INET6, host, &ip6.sin6_addr) == 1 else { throw Failure(call: host, code: EINVAL) }
            length = MemoryLayout<sockaddr_in6>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: ip6, as: sockaddr_in6.self) }
        case .tcp(let host, let port):
            var ip4 = sockaddr_in()
            ip4.sin_family = sa_family_t(AF_INET)
            ip4.sin_port = in_port_t(port).bigEndian
            guard inet_pton(AF_INET, host, &ip4.sin_addr) == 1 else { throw Failure(call: host, code: EINVAL) }
            length = MemoryLayout<sockaddr_in>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: ip4, as: sockaddr_in.self) }
        }
        return withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
        }
    }

    private static func endpoint(
        _ descriptor: Int32,
        _ ask: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
    ) -> (host: String, port: Int)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &length) }
        }
        guard result == 0 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = Int32(storage.ss_family)
        return withUnsafeBytes(of: &storage) { raw in
            switch family {
            case AF_INET:
                var address = raw.load(as: sockaddr_in.self)
                inet_ntop(AF_INET, &address.sin_addr, &text, socklen_t(text.count))
                return (host(text), Int(in_port_t(bigEndian: address.sin_port)))
            case AF_INET6:
                var address = raw.load(as: sockaddr_in6.self)
                inet_ntop(AF_INET6, &address.sin6_addr, &text, socklen_t(text.count))
                return (host(text), Int(in_port_t(bigEndian: address.sin6_port)))
            default: return nil
            }
        }
    }

    private static func host(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

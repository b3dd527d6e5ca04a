import EventLoops
import Glibc
import Synchronization

/// Stands between a replica and Redis, and fails where it hurts most: around EXEC.
public final class RedisFaultProxy: Sendable {
    public enum Fault: Sendable {
        case none
        /// The connection is cut before Redis sees EXEC.
        case cutBefore
        /// Redis performs it; the connection is cut before anybody hears so.
        case cutAfter
        /// The same, and Redis stays away.
        case cutAfterForGood
        /// The client's side is cut at once, and Redis gets EXEC only when `release` is called.
        case late
    }

    private final class State: Sendable {
        private let inner: Mutex<(faults: [Fault], isAway: Bool, isReleased: Bool)>
        let lateReplies = Journal<String>()

        init(_ faults: [Fault]) { inner = Mutex((faults, false, false)) }

        func next() -> Fault { inner.withLock { $0.faults.isEmpty ? .none : $0.faults.removeFirst() } }
        func release() { inner.withLock { $0.isReleased = true } }
        var isReleased: Bool { inner.withLock { $0.isReleased } }
        var isAway: Bool {
            get { inner.withLock { $0.isAway } }
            set { inner.withLock { $0.isAway = newValue } }
        }
    }

    private let state: State
    private let peer: ScriptedPeer

    public var url: String { "redis://" + RedisUsers.credentials("server") + "127.0.0.1:\(peer.port)" }

    /// What Redis answered to what came late, as it travelled.
    public var lateReplies: [String] { state.lateReplies.all }

    /// - Parameter faults: of the first EXEC, the second and so on; none after them.
    public init(_ redis: RedisServer, faults: [Fault]) throws {
        let state = State(faults)
        self.state = state
        let path = redis.socketPath
        peer = try ScriptedPeer { client, _ in
            if state.isAway { return }
            try RedisFaultProxy.carry(client, BlockingSocket(.unix(path: path)), state)
        }
    }

    /// Lets Redis have what was held back.
    public func release() { state.release() }

    /// From now on nobody gets through, until it is set back. Connections that stand are cut at their next word.
    public var isAway: Bool {
        get { state.isAway }
        set { state.isAway = newValue }
    }

    private static let exec = Array("*1\r\n$4\r\nEXEC\r\n".utf8)

    /// Passes on what comes from either side until one of them ends or a fault says so.
    private static func carry(_ client: BlockingSocket, _ server: BlockingSocket, _ state: State) throws {
        var sides = [
            pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: server.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&sides, 2, -1) > 0, !state.isAway {
            if sides[1].revents != 0 {
                guard let bytes = receive(server) else { return }
                try client.send(bytes)
            }
            guard sides[0].revents != 0 else { continue }
            guard let bytes = receive(client) else { return }
            switch bytes.firstRange(of: exec) == nil ? .none : state.next() {
            case .none: try server.send(bytes)
            case .cutBefore: return
            case .cutAfter:
                try server.send(bytes)
                _ = receive(server)
                return
            case .cutAfterForGood:
                state.isAway = true
                try server.send(bytes)
                _ = receive(server)
                return
            case .late:
                shutdown(client.descriptor, Int32(SHUT_RDWR))
                guard blockingUntil({ state.isReleased }) else { return }
                try server.send(bytes)
                state.lateReplies.add(String(decoding: receive(server) ?? [], as: UTF8.self))
                return
            }
        }
    }

    private static func receive(_ socket: BlockingSocket) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = read(socket.descriptor, &bytes, bytes.count)
        return count > 0 ? Array(bytes[..<count]) : nil
    }
}

import EventLoops
import Glibc
import Synchronization

/// Stands between a replica and Redis, on a thread of its own, and fails as networks do: where a test says, or by a seed.
///
/// A *word* is what a client's connection has brought when it is read: the commands of a tick, as a rule. Each word may
/// suffer a fault.
public final class RedisFaultProxy: Sendable, CustomStringConvertible {
    public typealias Fault = ProxyFault

    /// Which words suffer.
    public enum Plan: Sendable {
        /// Those that hold this command without arguments: the first one the first fault, and so on.
        case at(command: String, [Fault])
        /// From `begin` on.
        case seeded(FaultSchedule)
    }

    private let orders: ProxyOrders
    private let folder: TemporaryFolder?
    /// Where the proxy listens.
    public let address: Sockets.Address

    public var url: String {
        let credentials = RedisUsers.credentials("server")
        return switch address {
        case .unix(let path): "unix://\(credentials)\(path)"
        case .tcp(let host, let port): "redis://\(credentials)\(host):\(port)"
        }
    }

    /// - Parameter faults: of the first EXEC, the second and so on; none after them.
    public convenience init(_ redis: RedisServer, faults: [Fault] = []) throws {
        try self.init(to: .unix(path: redis.socketPath), plan: .at(command: "EXEC", faults))
    }

    public convenience init(_ redis: RedisServer, schedule: FaultSchedule) throws {
        try self.init(to: .unix(path: redis.socketPath), plan: .seeded(schedule))
    }

    /// - Parameter listensOnSocket: on a unix socket, else on a port of the loopback.
    public init(to redis: Sockets.Address, plan: Plan, listensOnSocket: Bool = false) throws {
        let listener: Int32
        if listensOnSocket {
            let folder = try TemporaryFolder()
            let path = folder.path + "/proxy.sock"
            listener = try Sockets.listen(.unix(path: path), sharesPort: false)
            self.folder = folder
            address = .unix(path: path)
        } else {
            folder = nil
            listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: 0), sharesPort: false)
            guard let port = Sockets.localPort(listener) else { throw SetUpFailure("the listener has no port") }
            address = .tcp(host: "127.0.0.1", port: port)
        }
        signal(SIGPIPE, SIG_IGN)
        let orders = try ProxyOrders(plan)
        self.orders = orders
        Threads.start("test-proxy") { ProxyEngine(listener: listener, redis: redis, orders: orders).run() }
    }

    deinit { orders.change { $0.isStopped = true } }

    // MARK: By hand

    /// The next word of any connection, or of that one, suffers `fault`, whatever the plan says. Connections are counted
    /// from 0.
    public func inject(_ fault: Fault, connection: Int? = nil) {
        orders.change { $0.injected.append((fault, connection)) }
    }

    /// Cuts every connection there is.
    public func cutAll() { orders.change { $0.cutsAll = true } }

    /// Lets Redis have what was held back.
    public func release() { orders.change { $0.isReleased = true } }

    /// Begins with the faults of the schedule: what comes before, as the start of a server does, suffers none.
    public func begin() { orders.change { $0.isCalm = false } }

    /// No more faults; half-open connections are cut, and what was held back goes on.
    public func calm() {
        orders.change {
            $0.isCalm = true
            $0.isReleased = true
        }
    }

    /// From now on nobody gets through, until it is set back. Connections that stand are cut at their next word.
    public var isAway: Bool {
        get { orders.read { $0.isAway } }
        set { orders.change { $0.isAway = newValue } }
    }

    // MARK: What happened

    /// What Redis answered to what came late, as it travelled.
    public var lateReplies: [String] { orders.lateReplies.all }

    /// Faults that words have suffered, in order.
    public var suffered: [Fault] { orders.read { $0.suffered } }

    /// How many connections were accepted so far.
    public var connections: Int { orders.read { $0.accepted } }

    /// The plan and what came of it: for the message of a failed expectation.
    public var description: String {
        orders.read { state in
            let plan =
                switch state.plan {
                case .at(let command, _): "faults at \(command)"
                case .seeded(let schedule): "\(schedule)"
                }
            return "\(plan); so far \(state.suffered.map { "\($0)" }.joined(separator: ", "))"
        }
    }
}

/// What a test tells a proxy's thread, and hears from it.
final class ProxyOrders: Sendable {
    struct State {
        var plan: RedisFaultProxy.Plan
        var injected: [(fault: ProxyFault, connection: Int?)] = []
        var isAway = false
        var isReleased = false
        var isCalm = false
        var isStopped = false
        var cutsAll = false
        var suffered: [ProxyFault] = []
        var accepted = 0

        init(_ plan: RedisFaultProxy.Plan) {
            self.plan = plan
            if case .seeded = plan { isCalm = true }
        }

        /// The fault of the next word.
        mutating func fault(of word: [UInt8], connection: Int) -> ProxyFault {
            let fault = choose(word, connection)
            if fault != .none { suffered.append(fault) }
            return fault
        }

        private mutating func choose(_ word: [UInt8], _ connection: Int) -> ProxyFault {
            if let at = injected.firstIndex(where: { $0.connection == nil || $0.connection == connection }) {
                return injected.remove(at: at).fault
            }
            if isCalm { return .none }
            switch plan {
            case .at(let command, var faults):
                let bytes = Array("*1\r\n$\(command.utf8.count)\r\n\(command)\r\n".utf8)
                guard !faults.isEmpty, word.firstRange(of: bytes) != nil else { return .none }
                let fault = faults.removeFirst()
                plan = .at(command: command, faults)
                return fault
            case .seeded(var schedule):
                let fault = schedule.next()
                plan = .seeded(schedule)
                return fault
            }
        }
    }

    private let state: Mutex<State>
    let lateReplies = Journal<String>()
    /// The end of a pipe that becomes readable when there is something new to look at, and the one that makes it so.
    let bell: Int32
    private let rope: Int32

    init(_ plan: RedisFaultProxy.Plan) throws {
        state = Mutex(State(plan))
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SetUpFailure("no pipe for the proxy") }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (bell, rope) = (ends[0], ends[1])
    }

    deinit {
        close(bell)
        close(rope)
    }

    /// From the test's side.
    func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
        // A full pipe rings as well.
        _ = write(rope, "!", 1)
    }

    func read<Result>(_ body: (State) -> Result) -> Result { state.withLock { body($0) } }

    /// From the proxy's thread.
    func update<Result>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }
}

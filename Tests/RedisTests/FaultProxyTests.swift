import EventLoops
import TestSupport
import Testing

/// Whether the proxy does to a connection what it is told to: other suites rely on it.
struct FaultProxyTests {
    private let redis: RedisServer
    private let key: String

    init() throws {
        redis = try RedisServer.shared
        key = redis.prefix() + "n"
    }

    private func proxy(onSocket: Bool = false) throws -> RedisFaultProxy {
        try RedisFaultProxy(
            to: .unix(path: redis.socketPath), plan: .at(command: "EXEC", []), listensOnSocket: onSocket)
    }

    private func connect(_ proxy: RedisFaultProxy) throws -> RESPConnection { try RESPConnection(proxy.address) }

    private func value() throws -> String { try redis.redis("GET", key) }

    @Test(arguments: [true, false]) func carriesWhatIsSent(onSocket: Bool) throws {
        let proxy = try proxy(onSocket: onSocket)
        let connection = try connect(proxy)
        let text = String(repeating: "x", count: 1_000_000)
        try connection("SET", key, text)
        #expect(try connection("GET", key).text == text)
        try redis.redis("DEL", key)
    }

    @Test func cuts() throws {
        let proxy = try proxy()
        let first = try connect(proxy)
        try first("INCR", key)
        proxy.inject(.cutBefore)
        #expect(throws: BlockingSocket.Ended.self) { try first("INCR", key) }
        #expect(try value() == "1")
        let second = try connect(proxy)
        proxy.inject(.cutAfter)
        #expect(throws: BlockingSocket.Ended.self) { try second("INCR", key) }
        #expect(try value() == "2")
        let third = try connect(proxy)
        try third("PING")
        proxy.cutAll()
        #expect(throws: BlockingSocket.Ended.self) { try third("PING") }
        #expect(proxy.suffered == [.cutBefore, .cutAfter])
    }

    @Test func cutsAnAnswerInItsMiddle() throws {
        let proxy = try proxy()
        try redis.redis("SET", key, "abcdefgh")
        let socket = try BlockingSocket(proxy.address)
        proxy.inject(.truncate(bytes: 7))
        try socket.send(Array("GET \(key)\r\n".utf8))
        #expect(try socket.read(7) == Array("$8\r\nabc".utf8))
        #expect(throws: BlockingSocket.Ended.self) { try socket.read(1) }
    }

    /// The word vanishes, or its answer does; the connection stands until it is cut.
    @Test(arguments: ProxyFault.Direction.allCases) func halfOpen(_ direction: ProxyFault.Direction) throws {
        let proxy = try proxy()
        let connection = try connect(proxy)
        try connection("PING")
        let other = try connect(proxy)
        proxy.inject(.swallow(direction, us: 100_000), connection: 0)
        let sinceUs = MonotonicClock.nowUs()
        #expect(throws: BlockingSocket.Ended.self) { try connection("INCR", key) }
        #expect(MonotonicClock.nowUs() - sinceUs >= 100_000)
        #expect(try value() == (direction == .toClient ? "1" : ""))
        #expect(try other("PING").text == "PONG")
    }

    @Test func delays() throws {
        let proxy = try proxy()
        let connection = try connect(proxy)
        let sinceUs = MonotonicClock.nowUs()
        proxy.inject(.delay(us: 50_000))
        #expect(try connection("INCR", key) == .integer(1))
        #expect(MonotonicClock.nowUs() - sinceUs >= 50_000)
    }

    /// What one connection has said first comes to Redis after what another one says later.
    @Test func reordersOverConnections() throws {
        let proxy = try proxy()
        let (slow, fast) = (try connect(proxy), try connect(proxy))
        try slow("PING")
        try fast("PING")
        proxy.inject(.overtaken(by: 1), connection: 0)
        let socket = Journal<String>()
        // The word has been heard before the other is said, or it would be no overtaking.
        let thread = LoopThread("test-slow")
        let box = SlowConnection(slow)
        thread.loop.send { [key] in socket.add((try? box.connection("APPEND", key, "slow"))?.text ?? "lost") }
        #expect(blockingUntil { proxy.suffered.count == 1 })
        #expect(try fast("APPEND", key, "fast") == .integer(4))
        #expect(blockingUntil { socket.count == 1 })
        #expect(try value() == "fastslow")
    }

    @Test func comesLateOrNotAtAll() throws {
        let proxy = try proxy()
        let connection = try connect(proxy)
        proxy.inject(.late)
        #expect(throws: BlockingSocket.Ended.self) { try connection("INCR", key) }
        #expect(try value() == "")
        proxy.release()
        #expect(blockingUntil { proxy.lateReplies == [":1\r\n"] })
        #expect(try value() == "1")
        proxy.isAway = true
        #expect(throws: (any Error).self) { try connect(proxy)("PING") }
        proxy.isAway = false
        #expect(try connect(proxy)("PING").text == "PONG")
    }

    @Test func aSeedRepeatsItsFaults() {
        var (one, two) = (FaultSchedule(seed: 7, oneIn: 3), FaultSchedule(seed: 7, oneIn: 3))
        let faults = (0..<1000).map { _ in one.next() }
        #expect(faults == (0..<1000).map { _ in two.next() })
        #expect((200...460).contains(faults.count { $0 != .none }))
        var other = FaultSchedule(seed: 8, oneIn: 3)
        let others = (0..<1000).map { _ in other.next() }
        #expect(others != faults)
    }
}

/// A connection that goes to another thread, and is used there only.
private final class SlowConnection: @unchecked Sendable {
    let connection: RESPConnection
    init(_ connection: RESPConnection) { self.connection = connection }
}

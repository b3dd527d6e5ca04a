import Bytes
import EventLoops
import Glibc

/// The HTTP/1.1 server of one loop: its listeners and its connections.
public final class HTTPServer {
    public let loop: EventLoop
    public let limits: HTTPLimits
    let responder: any Responder
    let pool: BufferPool
    let wheel: DeadlineWheel
    let date = DateField()
    private var spareScratch: ByteBuffer?

    /// Answers carry `Connection: close`. Set by `drain`; may be set before, while `/readyz` turns clients away.
    public var isDraining = false
    /// Connections that have nothing to answer are closed.
    private(set) var requestedDrain = false

    /// Of bodies that are counted (`HTTPLimits.bodyBytesAtOnce`).
    public private(set) var bodyBytes = 0
    private var uncountedBytes = 0
    private var trimTimer: LoopTimer?

    /// Requests handed to the responder, requests refused before that, and connections ever accepted.
    public internal(set) var requests = 0
    public internal(set) var refusals = 0
    public private(set) var accepted = 0

    /// Called with each exchange whose answer is complete, streams excepted, for metrics.
    public var onReply: ((Exchange) -> Void)?

    private static let keptScratchBytes = 1 << 20

    private var listeners: [Listener] = []
    private var connections: [HTTPConnection] = []
    private var drainWaiters: [UnsafeContinuation<Void, Never>] = []

    public init(loop: EventLoop, limits: HTTPLimits = HTTPLimits(), responder: any Responder) {
        self.loop = loop
        self.limits = limits
        self.responder = responder
        pool = BufferPool(headerCount: limits.headerCount)
        let shortestUs = min(limits.headUs, limits.bodyUs, limits.idleUs, limits.lingerUs)
        wheel = DeadlineWheel(loop: loop, slotUs: min(max(shortestUs / 8, 5000), 250_000))
    }

    /// Connections that are open, whatever they are doing.
    public var openConnections: Int { connections.count }

    /// Starts to accept from a listening socket, which the server owns from now on.
    ///
    /// - Parameter others: further servers' `adopt`, to which connections are dealt in turn; for a unix socket, which one
    ///   loop accepts for all.
    public func listen(_ descriptor: Int32, dealingTo others: [@Sendable (Int32) -> Void] = []) {
        var next = 0
        let listener = Listener(loop: loop, descriptor: descriptor) { [unowned self] connection in
            next = (next + 1) % (others.count + 1)
            if next == others.count { adopt(connection) } else { others[next](connection) }
        }
        listeners.append(listener)
        listener.start()
    }

    /// Takes over a connection that was accepted elsewhere.
    public func adopt(_ descriptor: Int32) {
        accepted &+= 1
        let peer: Peer
        do {
            peer = try Sockets.peerAddress(descriptor).map { .address($0) } ?? .unix
        } catch {
            // It has left already.
            close(descriptor)
            return
        }
        // A few more than the limit are let in to be told so; beyond those there is no time for manners.
        let isWelcome = connections.count < limits.connections
        guard isWelcome || connections.count < limits.connections + limits.connections / 8 + 16 else {
            close(descriptor)
            return
        }
        let connection = HTTPConnection(server: self, descriptor: descriptor, peer: peer)
        connection.index = connections.count
        connections.append(connection)
        connection.start()
        if !isWelcome { connection.refuse(.tooManyConnections) }
        if requestedDrain { connection.drain() }
    }

    /// Lends a buffer for something to be written whose length must be known first. Who borrows while it is lent gets
    /// another.
    @inline(__always)
    func withScratch<Result>(_ body: (ByteBuffer) -> Result) -> Result {
        let scratch = spareScratch ?? ByteBuffer()
        spareScratch = nil
        defer {
            scratch.removeAll()
            if scratch.allocatedBytes <= HTTPServer.keptScratchBytes { spareScratch = scratch }
        }
        return body(scratch)
    }

    /// Gives a connection a share for its body; false when there is none left. A body that is alone always has one.
    func count(bodyBytes: Int) -> Bool {
        guard self.bodyBytes == 0 || self.bodyBytes + bodyBytes <= limits.bodyBytesAtOnce else { return false }
        self.bodyBytes += bodyBytes
        return true
    }

    func uncount(bodyBytes: Int) {
        self.bodyBytes -= bodyBytes
        uncountedBytes += bodyBytes
        guard self.bodyBytes == 0, uncountedBytes >= HTTPServer.trimBytes else { return }
        uncountedBytes = 0
        trimTimer = loop.after(us: HTTPServer.trimPauseUs) { [loop] in
            loop.spawn { await BlockingPool.computing.run { ProcessMemory.trim() } }
        }
    }

    /// After so many bytes of large bodies, what was made of them is given back to the system, once it has been quiet.
    private static let trimBytes = 8 << 20
    private static let trimPauseUs: Int64 = 1_000_000

    /// Bytes of answers that clients have not taken yet. It looks at every connection.
    public var unsentBytes: Int { connections.reduce(0) { $0 + $1.committed } }

    /// Ends the server: takes in the connections that already wait, stops listening, closes idle connections, lets
    /// requests in flight be answered, and after `graceUs` cuts what is left.
    public func drain(graceUs: Int64) async {
        isDraining = true
        requestedDrain = true
        for listener in listeners { listener.finish() }
        listeners = []
        for connection in connections { connection.drain() }
        if connections.isEmpty { return }
        let timer = loop.after(us: graceUs) { [unowned self] in
            for connection in connections { connection.cut() }
        }
        await withUnsafeContinuation { drainWaiters.append($0) }
        timer.cancel()
    }

    func removed(_ connection: HTTPConnection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        guard connections.isEmpty else { return }
        let waiters = drainWaiters
        drainWaiters = []
        for waiter in waiters { waiter.resume() }
    }
}

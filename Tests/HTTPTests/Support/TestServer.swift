import Bytes
import EventLoops
import Glibc
import HTTP

/// A server on a loop and thread of its own, listening on a free port of the loopback.
final class TestServer: @unchecked Sendable {
    // Unchecked because the server and router are made and used on the loop only, and the rest never changes.
    let loop = EventLoop()
    private(set) var address = Sockets.Address.tcp(host: "127.0.0.1", port: 0)
    private var server: HTTPServer?
    let events = Events()

    /// - Parameter routes: run on the loop.
    init(
        limits: HTTPLimits = TestServer.smallLimits, unixPath: String? = nil,
        routes: @escaping @Sendable (Router, TestServer) -> Void = { _, _ in }
    ) throws {
        signal(SIGPIPE, SIG_IGN)
        if let unixPath { address = .unix(path: unixPath) }
        let listener = try Sockets.listen(address, sharesPort: false)
        if unixPath == nil { address = .tcp(host: "127.0.0.1", port: Sockets.localPort(listener)!) }
        Threads.start("test-server") { [loop] in loop.run() }
        loop.runBlocking { [self] in
            let router = Router()
            TestServer.addRoutes(router)
            routes(router, self)
            let server = HTTPServer(loop: loop, limits: limits, responder: router)
            server.listen(listener)
            self.server = server
        }
    }

    deinit {
        // The loop may be looking at the server at this moment, so it must be the loop that lets go of it.
        if let server {
            nonisolated(unsafe) let held = Unmanaged.passRetained(server)
            self.server = nil
            loop.send { held.release() }
        }
        loop.stop()
    }

    /// Limits that tests can reach quickly. The parser's are those of `ParserRun`, which the corpus is written for.
    static var smallLimits: HTTPLimits {
        var limits = HTTPLimits()
        limits.headerCount = ParserRun.headerCount
        limits.bodyBytes = ParserRun.bodyBytes
        return limits
    }

    /// Runs `body` on the loop with the server, and waits for it.
    func onLoop<Result: Sendable>(_ body: @escaping @Sendable (HTTPServer) async -> Result) -> Result {
        loop.runBlocking { [self] in await body(server!) }
    }

    /// A client, which keeps this server going.
    func connect() throws -> RawClient { try RawClient(address, owner: self) }

    private static func addRoutes(_ router: Router) {
        for method in [HTTPMethod.get, .post] {
            router.on(
                method, "/*",
                .immediate { exchange in
                    exchange.beginReply(200)
                    exchange.finishReply(contentType: "text/plain") {
                        $0.append(exchange.path)
                        if !exchange.body.isEmpty {
                            $0.append(" ")
                            $0.append(exchange.body)
                        }
                    }
                })
        }
        router.on(
            .options, "/options",
            .immediate { exchange in
                exchange.beginReply(204)
                exchange.finishReply()
            })
    }
}

/// What happened on a loop, for a test on another thread to wait for.
final class Events: @unchecked Sendable {
    // Unchecked because the list is only touched under the lock.
    private let lock = Lock()
    private var happened: [String] = []

    func add(_ event: String) { lock.withLock { happened.append(event) } }
    var all: [String] { lock.withLock { happened } }

    /// Waits until `event` has happened, at most 30 s.
    func wait(for event: String) -> Bool { eventually { self.all.contains(event) } }
}

/// Waits until `condition` holds, at most 30 s.
func eventually(_ condition: () -> Bool) -> Bool {
    let endUs = MonotonicClock.nowUs() + 30_000_000
    while MonotonicClock.nowUs() < endUs {
        if condition() { return true }
        usleep(2000)
    }
    return condition()
}

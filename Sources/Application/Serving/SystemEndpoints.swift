import EventLoops
import HTTP
import JSON
import Services
import Synchronization
import Telemetry

/// What is the same for all loops and changes while the process runs.
final class SystemState: Sendable {
    private struct State {
        var isServing = false
        var isDraining = false
        var loops: [LoopBound<LoopServer>] = []
    }

    private let state = Mutex(State())

    /// Whether the process takes requests: started, and not about to end.
    var isReady: Bool { state.withLock { $0.isServing && !$0.isDraining } }

    var loops: [LoopBound<LoopServer>] { state.withLock { $0.loops } }

    func add(_ loop: LoopBound<LoopServer>) { state.withLock { $0.loops.append(loop) } }
    func startServing() { state.withLock { $0.isServing = true } }
    func startDraining() { state.withLock { $0.isDraining = true } }
}

/// `/healthz`, `/readyz`, `/metrics`: what load balancers and monitoring ask.
final class SystemEndpoints {
    private let context: ServiceContext
    private let state: SystemState
    private unowned let http: HTTPServer
    private let requests: Counter
    private let connections: Gauge
    private let redisCommands: Counter
    private let redisConnections: Counter

    init(context: ServiceContext, http: HTTPServer, state: SystemState) {
        self.context = context
        self.http = http
        self.state = state
        let metrics = context.metrics
        requests = metrics.counter("quartermaster_http_requests_total", "Requests received")
        connections = metrics.gauge("quartermaster_http_connections", "Connections open now")
        redisCommands = metrics.counter("quartermaster_redis_commands_total", "Commands sent to Redis")
        redisConnections = metrics.counter("quartermaster_redis_connections_total", "Connections made to Redis")
    }

    private static let ready: StaticString = "{\"status\":\"ready\",\"redis\":\"ready\"}"
    private static let readyWithoutRedis: StaticString = "{\"status\":\"ready\",\"redis\":\"away\"}"

    /// `/readyz` says whether this replica serves and is not about to end. Without Redis it still serves: rules say what becomes
    /// of checks then. Who wants to know of Redis as well asks `/readyz?redis`.
    func add(to routes: Routes) {
        routes.immediate(.get, "/healthz", role: nil) { exchange, _ in
            exchange.beginReply(200)
            exchange.finishReply(contentType: "application/json") { $0.append("{\"status\":\"ok\"}") }
        }
        routes.immediate(.get, "/readyz", role: nil) { [unowned self] exchange, _ in
            guard state.isReady else { throw Problem(.unavailable, "starting or about to end", retryAfterS: 1) }
            let hasRedis = context.redis.isReady
            if !hasRedis, exchange.queryItem("redis") != nil {
                throw Problem(.unavailable, "Redis is out of reach", retryAfterS: 1)
            }
            exchange.beginReply(200)
            exchange.finishReply(contentType: "application/json") {
                $0.append(hasRedis ? SystemEndpoints.ready : SystemEndpoints.readyWithoutRedis)
            }
        }
        routes.on(.get, "/metrics", role: .read) { [unowned self] exchange, _ in
            var total = MetricsSnapshot()
            for loop in state.loops {
                total.merge(await loop.loop.run { loop.value.system.snapshot() })
            }
            exchange.beginReply(200)
            exchange.finishReply(contentType: "text/plain; version=0.0.4") { total.prometheus(into: $0) }
        }
    }

    /// This loop's figures.
    func snapshot() -> MetricsSnapshot {
        requests.catchUp(to: http.requests)
        connections.set(http.openConnections)
        redisCommands.catchUp(to: context.redis.commands)
        redisConnections.catchUp(to: context.redis.reconnects)
        return context.metrics.snapshot()
    }
}

extension Counter {
    /// Takes over a count that is kept elsewhere.
    fileprivate func catchUp(to total: Int) { increment(by: total - value) }
}

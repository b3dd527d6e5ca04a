import EventLoops
import HTTP
import Redis
import Services
import Telemetry

/// Everything one loop has: its Redis connections, its instances of the services, its listener and connections.
final class LoopServer {
    let context: ServiceContext
    let http: HTTPServer
    let router = Router()
    private let routes: Routes
    /// On the first loop of a process that has a tokens file.
    let tokenWatch: TokenWatch?
    private let services: [any Service]
    let system: SystemEndpoints
    private let audit: AuditEndpoint

    /// - Parameter servesAPI: whether it has the services' routes, or those of health and metrics only.
    init(
        loop: EventLoop, process: ProcessContext, definitions: [ServiceDefinition], scripts: [Script],
        limits: HTTPLimits, system: SystemState, tokensFile: String?, servesAPI: Bool = true
    ) throws {
        let redis = RedisClient(loop: loop, configuration: process.redis, scripts: scripts)
        context = ServiceContext(loop: loop, redis: redis, metrics: MetricRegistry(), process: process)
        let context = context
        services = try definitions.map { try $0.instance(context) }
        http = HTTPServer(loop: loop, limits: limits, responder: router)
        self.system = SystemEndpoints(context: context, http: http, state: system)
        routes = Routes(router: router, context: context)
        audit = AuditEndpoint(context: context)
        tokenWatch = context.isFirstLoop ? tokensFile.map { TokenWatch(path: $0, context: context) } : nil
        let figures = RouteMetrics(router: router, metrics: context.metrics)
        http.onReply = { figures.count($0) }
        self.system.add(to: routes)
        if servesAPI {
            audit.add(to: routes)
            for service in services { service.addRoutes(to: routes) }
        }
        if context.isFirstLoop { redis.onStateChange = { [unowned redis] in LoopServer.tell($0, $1, redis, process) } }
        LoopServer.tellOfBreaches(redis, process)
    }

    /// Logs connections that were ended because of what came on them; one line in ten seconds, since each is made anew.
    private static func tellOfBreaches(_ redis: RedisClient, _ process: ProcessContext) {
        var quietUntilUs = Int64.min
        redis.onBreach = { server, reason in
            let nowUs = MonotonicClock.nowUs()
            guard nowUs >= quietUntilUs else { return }
            quietUntilUs = nowUs + 10_000_000
            process.log.warning(
                "redis connection ended: the server does not keep to the protocol",
                ["server": .string(server), "reason": .string("\(reason)")])
        }
    }

    /// Logs what an operator would ask about when Redis comes or goes. One loop speaks for the process.
    private static func tell(
        _ isReady: Bool, _ server: String, _ redis: RedisClient, _ process: ProcessContext
    ) {
        let names: LogFields = ["redis": .string("\(process.redis)"), "server": .string(server)]
        guard isReady else { return process.log.warning("redis lost", names) }
        process.log.info(
            "redis connected",
            [
                "redis": .string("\(process.redis)"), "server": .string(server),
                "version": .string(redis.serverInfo["redis_version"] ?? ""),
            ])
        if let policy = redis.serverInfo["maxmemory_policy"], policy != "noeviction" {
            process.log.warning(
                "redis may evict what must not be lost; set maxmemory-policy noeviction", ["policy": .string(policy)])
        }
    }

    /// Judges what the services read from files.
    func check() async throws {
        for service in services { try await service.check() }
    }

    /// Prepares the services; Redis is reachable by now.
    func start() async throws {
        for service in services { try await service.start() }
        tokenWatch?.start()
    }

    /// Finishes what is in flight, then lets go of everything.
    func stop(graceUs: Int64) async {
        await tokenWatch?.stop()
        for service in services { service.drain() }
        await http.drain(graceUs: graceUs)
        for service in services { await service.stop() }
        await context.audit.finish(withinUs: LoopServer.auditUs)
        context.redis.onStateChange = nil
        await context.redis.close()
        // What Redis has not taken by now has failed with its connection, and goes to the log.
        await context.audit.finish(withinUs: LoopServer.auditUs)
    }

    /// How long the end waits for what is to be written down.
    private static let auditUs: Int64 = 2_000_000
}

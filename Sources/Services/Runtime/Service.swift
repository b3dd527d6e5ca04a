import Bytes
import EventLoops
import HTTP
import Redis
import Telemetry

/// What every service looks like: one instance per loop, confined to it, with its routes and its work in the background.
public protocol Service: AnyObject {
    /// Makes the instance of one loop. Nothing is asked of Redis yet.
    init(context: ServiceContext) throws

    /// Adds the service's routes to the loop's router.
    func addRoutes(to router: Routes)

    /// Judges the files that `start` is going to read, without asking Redis. Throws a `Problem` that names the file.
    func check() async throws

    /// Prepares to serve (loads what every request needs) and starts the background work. The server reports ready
    /// when every service's `start` has returned on every loop.
    func start() async throws

    /// Ends answers that would otherwise last: streams of events. The process is about to end.
    func drain()

    /// Ends the background work.
    func stop() async
}

extension Service {
    public func check() async throws {}

    public func drain() {}
}

/// A kind of service, as the executable lists them.
public struct ServiceDefinition: Sendable {
    /// The word of `--services`.
    public let name: String
    /// The port when the service runs alone.
    public let port: Int
    /// Its scripts, loaded on every connection to Redis.
    public let scripts: [Script]
    let make: @Sendable (ServiceContext) throws -> any Service

    public init(
        name: String, port: Int, scripts: [Script], make: @escaping @Sendable (ServiceContext) throws -> any Service
    ) {
        self.name = name
        self.port = port
        self.scripts = scripts
        self.make = make
    }

    /// The instance of one loop.
    public func instance(_ context: ServiceContext) throws -> any Service { try make(context) }
}

/// What a service is given on each loop.
public final class ServiceContext {
    public let loop: EventLoop
    public let redis: RedisClient
    public let metrics: MetricRegistry
    /// What the loops of the process have in common.
    public let process: ProcessContext
    /// The API's tokens as they are at the moment.
    public internal(set) var tokens: Tokens
    /// Where what administrators change is written down.
    public private(set) lazy var audit = AuditLog(context: self)

    public init(loop: EventLoop, redis: RedisClient, metrics: MetricRegistry, process: ProcessContext) {
        self.loop = loop
        self.redis = redis
        self.metrics = metrics
        self.process = process
        tokens = process.tokens
    }

    public var log: Logger { process.log }

    private(set) lazy var durabilityWaits = DurabilityWaits(
        loop: loop, redis: redis, replicas: process.settings["wait-replicas"].flatMap { Int($0) } ?? 1)

    /// Whether this is the one loop of the process that does what is to be done once per process.
    public var isFirstLoop: Bool { loop.index == 0 }
}

/// What is the same on every loop and never changes while the process runs.
public final class ProcessContext: Sendable {
    /// Names this process to its peers in Redis; new with each start.
    public let replicaID: String
    /// Every key begins with it.
    public let prefix: String
    public let redis: RedisConfiguration
    public let log: Logger
    /// The API's tokens at the start; `ServiceContext` has those of the moment.
    public let tokens: Tokens
    public let proxies: TrustedProxies
    /// Names, beside those that are ours by themselves, under which a server without tokens may be asked.
    public let allowedHosts: [String]
    /// Settings of single services, by name, as the command line had them.
    public let settings: [String: String]
    /// How many event loops the process has.
    public let loopCount: Int
    /// How many replicas share the work, as far as this process has heard.
    public let replicas: ReplicaCount
    /// News from the loop that heard it to all loops, by topic.
    public let broadcasts = Broadcasts()

    public init(
        replicaID: String, prefix: String, redis: RedisConfiguration, log: Logger, tokens: Tokens,
        proxies: TrustedProxies, settings: [String: String], loopCount: Int, configuredReplicas: Int?,
        allowedHosts: [String] = []
    ) {
        self.replicaID = replicaID
        self.prefix = prefix
        self.redis = redis
        self.log = log
        self.tokens = tokens
        self.proxies = proxies
        self.allowedHosts = allowedHosts
        self.settings = settings
        self.loopCount = loopCount
        replicas = ReplicaCount(configured: configuredReplicas)
    }
}

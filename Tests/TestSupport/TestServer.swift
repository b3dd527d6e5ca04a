import Application
import EventLoops
import JSON
import RateLimiting
import Services
import Synchronization
import Telemetry

/// A replica in this process: the whole server on a free port of the loopback. Any number of them may share one Redis
/// and a prefix.
public final class TestServer: Sendable {
    public let url: String
    public let prefix: String
    private let server: Server
    private let isStopped = Mutex(false)

    /// - Parameters:
    ///   - prefix: of its keys; none: a fresh one.
    ///   - configure: changes the configuration before the start.
    public init(
        redis: RedisServer, prefix: String? = nil, loops: Int = 1, tokens: Tokens = .none,
        services: [ServiceDefinition] = [RateLimitService.definition()],
        configure: (inout Configuration) -> Void = { _ in }
    ) throws {
        var configuration = Configuration()
        configuration.port = 0
        configuration.redisURL = redis.url
        configuration.prefix = prefix ?? redis.prefix()
        configuration.loops = loops
        configuration.logLevel = .error
        // A busy machine must not turn a slow answer into a failure mode, unless that is what the test is about.
        configuration.checkBudgetMs = 10_000
        configuration.drainGraceMs = 1000
        configure(&configuration)
        self.prefix = configuration.prefix
        let log = Logger(level: configuration.logLevel, format: .text)
        server = try Server(
            configuration: configuration, services: services, tokens: tokens, log: log)
        url = try server.start(redisTimeoutUs: longestWaitUs)
    }

    deinit { stop() }

    public func stop() {
        let wasStopped = isStopped.withLock { stopped in
            defer { stopped = true }
            return stopped
        }
        if !wasStopped { server.stop() }
    }

    /// As SIGHUP would.
    public func readTokens() { server.readTokens() }

    public var port: Int { Int(url.split(separator: ":").last ?? "") ?? 0 }

    public func connect(host: String = "127.0.0.1") throws -> HTTPConnection {
        try HTTPConnection(.tcp(host: host, port: port))
    }

    // MARK: Short ways

    /// One request on a connection of its own.
    public func request(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPAnswer {
        try connect().request(method, target, headers: headers, body: body)
    }

    /// Makes a rule; anything but 201 throws.
    @discardableResult
    public func rule(_ json: String) throws -> JSONValue {
        let answer = try request("POST", "/api/rate-limits", body: json)
        guard answer.status == 201, let rule = answer.json else {
            throw SetUpFailure("no rule: \(answer.status) \(answer.text)")
        }
        return rule
    }

    /// Asks for a decision.
    public func check(_ json: String) throws -> HTTPAnswer {
        try request("POST", "/api/rate-limits/check", body: json)
    }
}

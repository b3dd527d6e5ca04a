import Bytes
import Digests
import EventLoops
import Glibc
import HTTP
import Redis
import Services
import Telemetry

/// One replica: loops, services, listeners. Started and stopped by commands and by tests alike.
public final class Server: Sendable {
    private let configuration: Configuration
    private let definitions: [ServiceDefinition]
    private let group: EventLoopGroup
    private let state = SystemState()
    private let process: ProcessContext

    /// - Parameters:
    ///   - services: the services to run, those that the configuration names.
    ///   - tokens: the API's tokens; none means loopback only.
    public init(
        configuration: Configuration, services: [ServiceDefinition], tokens: Tokens, log: Logger
    ) throws(StartError) {
        let redis: RedisConfiguration
        do { redis = try RedisConfiguration(url: configuration.redisURL ?? Configuration.defaultRedisURL) } catch {
            throw StartError(description: "--redis \(error)", exitCode: .configuration)
        }
        if tokens.isEmpty, !configuration.isLoopbackOnly {
            throw StartError(
                description: "without --tokens the server listens on loopback only, not on \(configuration.host)",
                exitCode: .configuration)
        }
        self.configuration = configuration
        definitions = services
        let loops = configuration.loops > 0 ? configuration.loops : ProcessLimits.cores
        group = EventLoopGroup(count: loops)
        var settings = configuration.serviceSettings
        settings["check-budget"] = String(configuration.checkBudgetMs)
        settings["rules"] = configuration.rulesFile
        process = ProcessContext(
            replicaID: RandomID.hex(bytes: 8), prefix: configuration.prefix, redis: redis, log: log, tokens: tokens,
            proxies: TrustedProxies(
                blocks: configuration.trustedProxies, isLoopbackOnly: configuration.isLoopbackOnly),
            settings: settings, loopCount: loops, configuredReplicas: configuration.replicas,
            allowedHosts: configuration.allowedHosts)
    }

    /// Starts everything and returns the URL it listens on. Blocks the calling thread, which is no loop's.
    /// - Parameter redisTimeoutUs: how long to wait for Redis.
    public func start(redisTimeoutUs: Int64 = 10_000_000) throws(StartError) -> String {
        group.start()
        do throws(StartError) { return try serve(redisTimeoutUs) } catch {
            giveUp()
            throw error
        }
    }

    private func serve(_ redisTimeoutUs: Int64) throws(StartError) -> String {
        try makeLoops()
        try judgeFiles()
        for loop in state.loops { loop.loop.send { loop.value.context.redis.start() } }
        try awaitRedis(redisTimeoutUs)
        try startServices()
        let listeners = try Listeners(configuration, defaultPort: defaultPort, count: group.loops.count)
        listeners.attach(to: state.loops)
        state.startServing()
        if !process.tokens.isEmpty { process.log.info("tokens read", ["tokens": .int(process.tokens.count)]) }
        if !process.tokens.rates.isEmpty, !definitions.contains(where: { $0.name == "rate-limiter" }) {
            process.log.warning("the rates of tokens do not hold here: the rate-limiter service does not run")
        }
        process.log.info(
            "listening",
            ["url": .string(listeners.url), "loops": .int(group.loops.count), "replica": .string(process.replicaID)])
        return listeners.url
    }

    /// Judges the configuration and every file that a start would read, and starts nothing. Blocks the calling thread, which
    /// is no loop's.
    public func check() throws(StartError) {
        group.start()
        defer { giveUp() }
        try makeLoops()
        try judgeFiles()
    }

    /// Ends the loops of a server that serves nobody.
    private func giveUp() {
        for loop in state.loops { loop.loop.runBlocking { await loop.value.context.redis.close() } }
        group.stop()
    }

    /// Reads the tokens file now. The answer is in the log.
    public func readTokens() {
        guard let first = state.loops.first else { return }
        first.loop.send { first.value.tokenWatch?.readNow() }
    }

    /// Stops taking requests, finishes those in flight within the grace, and ends the loops. Blocks the calling thread.
    public func stop() {
        state.startDraining()
        for loop in state.loops { loop.loop.send { loop.value.http.isDraining = true } }
        if configuration.drainDelayMs > 0 {
            let loop = group.loops[0]
            let delayUs = Int64(configuration.drainDelayMs) * 1000
            loop.runBlocking { await loop.sleep(us: delayUs) }
        }
        // While we still answer on it, so that it is ours and not one of a successor's.
        if let path = configuration.socketPath { unlink(path) }
        let graceUs = Int64(configuration.drainGraceMs) * 1000
        let loops = state.loops
        if let first = loops.first {
            // Every loop drains at once; the first one waits for the others.
            first.loop.runBlocking {
                await withTaskGroup(of: Void.self) { stops in
                    for loop in loops {
                        stops.addTask { await loop.loop.run { await loop.value.stop(graceUs: graceUs) } }
                    }
                }
            }
        }
        group.stop()
        process.log.info("stopped")
    }

    // MARK: Starting

    private func makeLoops() throws(StartError) {
        let scripts = [Presence.script] + definitions.flatMap(\.scripts)
        var limits = HTTPLimits()
        limits.connections = configuration.maxConnections
        for loop in group.loops {
            let (process, definitions, state) = (process, definitions, state)
            let tokensFile = process.tokens.isEmpty ? nil : configuration.tokensFile
            let servesAPI = configuration.servesAPI
            let failure = loop.runBlocking { [limits] () -> String? in
                do {
                    let server = try LoopServer(
                        loop: loop, process: process, definitions: definitions, scripts: scripts, limits: limits,
                        system: state, tokensFile: tokensFile, servesAPI: servesAPI)
                    state.add(LoopBound(server, loop: loop))
                    return nil
                } catch { return ProblemReply.words(error) }
            }
            if let failure { throw StartError(description: failure, exitCode: .configuration) }
        }
    }

    /// Before Redis is asked for anything: what is wrong here stays wrong, whatever it says.
    private func judgeFiles() throws(StartError) {
        guard let first = state.loops.first else { return }
        let failure = first.loop.runBlocking { () -> String? in
            do {
                try await first.value.check()
                return nil
            } catch { return ProblemReply.words(error) }
        }
        if let failure { throw StartError(description: failure, exitCode: .configuration) }
    }

    private func awaitRedis(_ timeoutUs: Int64) throws(StartError) {
        for loop in state.loops {
            let isReady = loop.loop.runBlocking { await loop.value.context.redis.whenReady(timeoutUs: timeoutUs) }
            if !isReady {
                throw StartError(
                    redis: process.redis, loop.loop.runBlocking { loop.value.context.redis.lastError })
            }
        }
    }

    private func startServices() throws(StartError) {
        for loop in state.loops {
            let place = process.redis
            let failure = loop.loop.runBlocking { () -> StartError? in
                do {
                    try await loop.value.start()
                    return nil
                } catch { return StartError(redis: place, started: error) }
            }
            if let failure { throw failure }
        }
    }

    /// 8080 for all services together; a lone service has a port of its own.
    private var defaultPort: Int {
        definitions.count == 1 && configuration.services != nil ? definitions[0].port : 8080
    }
}

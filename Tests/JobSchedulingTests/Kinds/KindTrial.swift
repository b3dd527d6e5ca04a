import Bytes
import EventLoops
import JSON
import JobScheduling
import Redis
import Services
import Telemetry
import TestSupport

/// A kind on a loop of its own, without a queue: its config and its run as a worker would call them.
final class KindTrial<Kind: JobKind>: Sendable {
    private let thread = LoopThread()
    private let settings: [String: String]
    private let make: @Sendable (ServiceContext) throws -> Kind

    init(
        _ settings: [String: String] = [:],
        make: @escaping @Sendable (ServiceContext) throws -> Kind = { try Kind(context: $0) }
    ) {
        self.settings = settings
        self.make = make
    }

    /// What is wrong with a config; nil when nothing is.
    func refusal(_ config: String) async throws -> Problem? {
        try await thread.run { [self] () async throws -> Problem? in
            do {
                _ = try parse(config, try kind())
                return nil
            } catch let problem as Problem { return problem }
        }
    }

    /// Whether the kind's instance can be made with these settings.
    func isMade() async -> Bool {
        await thread.run { [self] in (try? kind()) != nil }
    }

    /// Runs a job.
    /// - Parameters:
    ///   - endsAfterUs: it is told to end this long after the start.
    ///   - when: it is told to end once this holds.
    ///   - heard: its latest progress, when it is over.
    func run(
        _ config: String, attempt: Int = 1, endsAfterUs: Int64? = nil, when: (@Sendable () -> Bool)? = nil,
        heard: (@Sendable (JSONValue?) -> Void)? = nil
    ) async throws -> JSONValue? {
        try await thread.run { [self, loop = thread.loop] () async throws -> JSONValue? in
            let kind = try kind()
            let config = try parse(config, kind)
            let context = context(attempt)
            let timer = LoopTimer(loop: loop) { if when?() ?? true { context.cancel() } }
            if endsAfterUs == 0 { context.cancel() }
            if let endsAfterUs { timer.start(afterUs: endsAfterUs) } else if when != nil { timer.start(everyUs: 2000) }
            defer {
                timer.cancel()
                heard?(context.latestProgress)
            }
            return try await kind.run(config, context)
        }
    }

    /// The failure that a job ends in; nil when it ends otherwise.
    func failure(_ config: String, attempt: Int = 1) async throws -> JobFailure? {
        do {
            _ = try await run(config, attempt: attempt)
            return nil
        } catch let failure as JobFailure { return failure }
    }

    // MARK: On the loop

    private func kind() throws -> Kind {
        let log = Logger(level: .error, format: .text)
        let redis = try RedisConfiguration(url: "redis://127.0.0.1:1")
        let process = ProcessContext(
            replicaID: "trial", prefix: "qm:", redis: redis, log: log, tokens: .none,
            proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: settings, loopCount: 1,
            configuredReplicas: nil)
        return try make(
            ServiceContext(
                loop: thread.loop, redis: RedisClient(loop: thread.loop, configuration: redis, scripts: []),
                metrics: MetricRegistry(), process: process))
    }

    private func parse(_ text: String, _ kind: Kind) throws -> Kind.Config {
        var fields = try Fields(try text.withByteView { try JSONValue(parsing: $0) }, of: "config")
        let config = try kind.config(&fields)
        try fields.finish()
        return config
    }

    private func context(_ attempt: Int) -> JobContext {
        JobContext(
            loop: thread.loop, jobID: JobID("default-000000000007")!, token: 42, attempt: attempt,
            log: Logger(level: .error, format: .text))
    }
}

extension JSONValue {
    /// What a JSON text says.
    init(_ text: String) throws { self = try text.withByteView { try JSONValue(parsing: $0) } }
}

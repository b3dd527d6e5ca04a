import Glibc
import JSON
import Services

/// `simulated`: does nothing for a given time, and fails when told to; for trials and tests. Without a config it is the
/// cheapest job there is.
///
/// | member | means | default |
/// |---|---|---|
/// | `durationMs` | how long it takes, 0 to 3,600,000; it ends early when it is cancelled | 0 |
/// | `failTimes` | attempts 1 to this one fail, after the duration | 0 |
/// | `permanent` | whether those failures are for good | false |
/// | `crash` | the process kills itself as `kill -9` would; only where the setting `allow-crash` is on | false |
/// | `result` | any JSON | none |
/// | `progress` | whether it reports `{"percent": 0…100}` in ten steps of its duration | false |
public final class SimulatedKind: JobKind {
    public struct Config {
        var durationMs = 0
        var failTimes = 0
        var isPermanent = false
        var crashes = false
        var result: JSONValue?
        var reportsProgress = false
    }

    public static let name = "simulated"
    private let mayCrash: Bool

    public init(context: ServiceContext) { mayCrash = context.process.settings["allow-crash"] == "true" }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        var config = Config()
        if fields.isEmpty { return config }
        config.durationMs = try fields.durationMs("durationMs", in: 0...3_600_000) ?? 0
        config.failTimes = try fields.int("failTimes", in: 0...1_000_000) ?? 0
        config.isPermanent = try fields.bool("permanent") ?? false
        config.crashes = try fields.bool("crash") ?? false
        config.result = fields.value("result")
        config.reportsProgress = try fields.bool("progress") ?? false
        if config.crashes, !mayCrash {
            throw .impossible(fields.name("crash"), "is allowed only where the setting allow-crash is on")
        }
        return config
    }

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        if config.crashes { kill(getpid(), SIGKILL) }
        if config.durationMs > 0 { try await pass(config, context) }
        if context.attempt <= config.failTimes {
            throw JobFailure("failed as told to, attempt \(context.attempt)", isPermanent: config.isPermanent)
        }
        return config.result
    }

    private func pass(_ config: Config, _ context: JobContext) async throws {
        let us = Int64(config.durationMs) * 1000
        guard config.reportsProgress else { return try await context.sleep(us: us) }
        for tenth in 0..<10 {
            context.progress(.object([.init("percent", .int(tenth * 10))]))
            try await context.sleep(us: us / 10)
        }
        context.progress(.object([.init("percent", .int(100))]))
    }
}

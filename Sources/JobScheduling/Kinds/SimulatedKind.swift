import Glibc
import JSON
import Services

/// `simulated`: does nothing for a given time, and fails when told to; for trials and tests.
///
/// `{durationMs: 0…3600000, failTimes: attempts that fail first, permanent: whether failures are for good, crash: the
/// process ends itself as if killed (only where the setting allow-crash is on), result: any JSON}`
public final class SimulatedKind: JobKind {
    public struct Config {
        var durationMs = 0
        var failTimes = 0
        var isPermanent = false
        var crashes = false
        var result: JSONValue?
    }

    public static let name = "simulated"
    private let mayCrash: Bool

    public init(context: ServiceContext) { mayCrash = context.process.settings["allow-crash"] == "true" }

    public func config(_ fields: inout Fields) throws(Problem) -> Config {
        var config = Config()
        config.durationMs = try fields.durationMs("durationMs", in: 0...3_600_000) ?? 0
        config.failTimes = try fields.int("failTimes", in: 0...1_000_000) ?? 0
        config.isPermanent = try fields.bool("permanent") ?? false
        config.crashes = try fields.bool("crash") ?? false
        config.result = fields.value("result")
        if config.crashes, !mayCrash {
            throw .impossible(fields.name("crash"), "is allowed only where the setting allow-crash is on")
        }
        return config
    }

    public func run(_ config: Config, _ context: JobContext) async throws -> JSONValue? {
        if config.crashes { kill(getpid(), SIGKILL) }
        if config.durationMs > 0 { try await context.sleep(us: Int64(config.durationMs) * 1000) }
        if context.attempt <= config.failTimes {
            throw JobFailure("failed as told to, attempt \(context.attempt)", isPermanent: config.isPermanent)
        }
        return config.result
    }
}

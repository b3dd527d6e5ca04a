import Redis
import Services
import Telemetry

/// What a process is told: the effective settings after flags, environment and file.
public struct Configuration: Sendable {
    public var host = "127.0.0.1"
    public var port: Int?
    public var socketPath: String?
    /// Who may connect to the unix socket, as for `chmod`.
    public var socketMode = 0o600
    /// Whether there are the services' routes, or those of health and metrics only.
    public var servesAPI = true
    public var redisURL: String?
    /// Where the URL stands, so that its password is in no command line and no environment.
    public var redisFile: String?
    public var isEmbedded = false
    public var dataDirectory: String?
    public var prefix = "qm:"
    public var loops = 0
    public var services: [String]?
    public var rulesFile: String?
    public var tokensFile: String?
    public var trustedProxies: [AddressBlock] = []
    public var allowedHosts: [String] = []
    public var logLevel = LogLevel.info
    public var logFormat: LogFormat?
    public var drainDelayMs = 0
    public var drainGraceMs = 30_000
    public var checkBudgetMs = 50
    public var replicas: Int?
    public var maxConnections = 20_000
    /// Settings that only one service reads, by name.
    public var serviceSettings: [String: String] = [:]

    public init() {}

    public static let defaultRedisURL = "redis://127.0.0.1:6379"

    /// Whether only this machine can reach the listener.
    public var isLoopbackOnly: Bool {
        socketPath != nil || IPAddress(host)?.isLoopback == true
    }
}

/// A setting that is wrong, said so that it can be put right.
public struct ConfigurationError: Error, CustomStringConvertible, Equatable {
    public let description: String

    public init(_ description: String) { self.description = description }
}

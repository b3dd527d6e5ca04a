import Redis
import Services
import Telemetry

/// One setting: its flag, what its value means, how it is read and shown. `--redis URL` is also `QM_REDIS` in the
/// environment and `"redis"` in the file.
struct Setting: Sendable {
    let name: String
    /// What the value is, for the help; nil for a switch.
    let value: String?
    let help: String
    let read: @Sendable (String, inout Configuration) throws(ConfigurationError) -> Void
    /// The effective value, without secrets.
    let show: @Sendable (Configuration) -> String

    var environmentName: String { "QM_" + name.uppercased().replacing("-", with: "_") }

    static let all: [Setting] = listening + store + behaviour + jobs + outgoing + stock

    /// Those whose value may be a secret, or hold one.
    static let secrets: Set<String> = ["redis", "smtp-url", "stock-webhook"]

    private static let listening: [Setting] = [
        Setting(
            name: "host", value: "ADDRESS", help: "address to listen on (default 127.0.0.1)",
            read: { (text, settings) throws(ConfigurationError) in
                let host = text == "localhost" ? "127.0.0.1" : text
                guard IPAddress(host) != nil else { throw .init("must be an IPv4 or IPv6 address, not \(text)") }
                settings.host = host
            }, show: { $0.host }),
        Setting(
            name: "port", value: "PORT", help: "port to listen on, 0 for any (default 8080, or a lone service's own)",
            read: { (text, settings) throws(ConfigurationError) in settings.port = try integer(text, 0...65_535) },
            show: { $0.port.map(String.init) ?? "" }),
        Setting(
            name: "socket", value: "PATH", help: "unix socket to listen on instead of host and port",
            read: { (text, settings) throws(ConfigurationError) in
                guard text.utf8.count < 108 else { throw .init("must be shorter than 108 bytes") }
                settings.socketPath = text
            }, show: { $0.socketPath ?? "" }),
        Setting(
            name: "socket-mode", value: "MODE",
            help: "who may connect to the unix socket, as for chmod (default 600; 660 for its group as well)",
            read: { (text, settings) throws(ConfigurationError) in
                guard let mode = Int(text, radix: 8), (0...0o777).contains(mode), mode & 0o600 == 0o600 else {
                    throw .init("must be an octal mode that lets the owner read and write, such as 660, not \(text)")
                }
                settings.socketMode = mode
            }, show: { String($0.socketMode, radix: 8) }),
        Setting(
            name: "max-connections", value: "N", help: "connections per loop (default 20000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.maxConnections = try integer(text, 1...1_000_000)
            }, show: { String($0.maxConnections) }),
        Setting(
            name: "trusted-proxies", value: "CIDR,…",
            help: "proxies whose X-Forwarded-* and identity headers are believed",
            read: { (text, settings) throws(ConfigurationError) in
                settings.trustedProxies = try list(text).map { part throws(ConfigurationError) in
                    guard let block = AddressBlock(part) else {
                        throw .init("must be addresses or blocks such as 10.0.0.0/8, not \(part)")
                    }
                    return block
                }
            }, show: { $0.trustedProxies.map { "\($0.base)/\($0.bits)" }.joined(separator: ",") }),
        Setting(
            name: "tokens", value: "FILE",
            help: "API tokens, a line `name role sha256 [rate]` each; read anew when it changes",
            read: { (text, settings) throws(ConfigurationError) in settings.tokensFile = text },
            show: { $0.tokensFile ?? "" }),
        Setting(
            name: "allowed-hosts", value: "NAME,…",
            help: "names under which browsers may ask this server, beside localhost and addresses",
            read: { (text, settings) throws(ConfigurationError) in
                settings.allowedHosts = try list(text).map { part throws(ConfigurationError) in
                    guard part.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x2A }) else {
                        throw .init("must be names such as qm.example.com or qm.example.com:8080, not \(part)")
                    }
                    return part
                }
            }, show: { $0.allowedHosts.joined(separator: ",") }),
        Setting(
            name: "max-streams", value: "N", help: "streams of events per loop (default \(Routes.mostStreams))",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["max-streams"] = String(try integer(text, 1...1_000_000))
            }, show: { $0.serviceSettings["max-streams"] ?? String(Routes.mostStreams) }),
    ]

    private static let store: [Setting] = [
        Setting(
            name: "redis", value: "URL",
            help: "redis://[user:password@]host[:port][/db] or unix:///path (default \(Configuration.defaultRedisURL))",
            read: { (text, settings) throws(ConfigurationError) in
                do { _ = try RedisConfiguration(url: text) } catch { throw .init("\(error)") }
                settings.redisURL = text
            },
            show: { configuration in
                configuration.redisURL.flatMap { try? RedisConfiguration(url: $0) }.map(\.description) ?? ""
            }),
        Setting(
            name: "redis-file", value: "FILE", help: "a file that holds the URL, which may have a password, instead",
            read: { (text, settings) throws(ConfigurationError) in settings.redisFile = text },
            show: { $0.redisFile ?? "" }),
        Setting(
            name: "embedded", value: nil, help: "start a Redis of our own in the data directory",
            read: { (text, settings) throws(ConfigurationError) in settings.isEmbedded = try flag(text) },
            show: { String($0.isEmbedded) }),
        Setting(
            name: "data-dir", value: "DIR", help: "where the embedded Redis keeps its files",
            read: { (text, settings) throws(ConfigurationError) in settings.dataDirectory = text },
            show: { $0.dataDirectory ?? "" }),
        Setting(
            name: "prefix", value: "TEXT", help: "what every key begins with (default qm:)",
            read: { (text, settings) throws(ConfigurationError) in
                guard text.utf8.count <= 64,
                    text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x7B && $0 != 0x7D })
                else { throw .init("must be at most 64 visible characters without braces") }
                settings.prefix = text
            }, show: { $0.prefix }),
        Setting(
            name: "replicas", value: "N",
            help: "replicas to assume for local limits until Redis has said how many there are",
            read: { (text, settings) throws(ConfigurationError) in settings.replicas = try integer(text, 1...10_000) },
            show: { $0.replicas.map(String.init) ?? "" }),
        Setting(
            name: "wait-replicas", value: "N",
            help: "replicas of Redis that must have what asked for durability replicated (default 1)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.serviceSettings["wait-replicas"] = String(try integer(text, 1...100))
            }, show: { $0.serviceSettings["wait-replicas"] ?? "1" }),
    ]

    private static let behaviour: [Setting] = [
        Setting(
            name: "loops", value: "N", help: "event loops, each a thread (default: one per core)",
            read: { (text, settings) throws(ConfigurationError) in settings.loops = try integer(text, 0...256) },
            show: { String($0.loops) }),
        Setting(
            name: "services", value: "NAME,…", help: "services to run (default: all)",
            read: { (text, settings) throws(ConfigurationError) in settings.services = list(text) },
            show: { $0.services?.joined(separator: ",") ?? "" }),
        Setting(
            name: "rules", value: "FILE", help: "rate-limit rules to load at start, once per content",
            read: { (text, settings) throws(ConfigurationError) in settings.rulesFile = text },
            show: { $0.rulesFile ?? "" }),
        Setting(
            name: "check-budget", value: "MS", help: "how long a check waits for Redis (default 50)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.checkBudgetMs = try integer(text, 1...10_000)
            }, show: { String($0.checkBudgetMs) }),
        Setting(
            name: "drain-delay", value: "MS", help: "how long /readyz says no before the listener closes (default 0)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.drainDelayMs = try integer(text, 0...600_000)
            }, show: { String($0.drainDelayMs) }),
        Setting(
            name: "drain-grace", value: "MS", help: "how long requests in flight may take at the end (default 30000)",
            read: { (text, settings) throws(ConfigurationError) in
                settings.drainGraceMs = try integer(text, 0...600_000)
            }, show: { String($0.drainGraceMs) }),
        Setting(
            name: "log-level", value: "LEVEL", help: "debug, info, warning or error (default info)",
            read: { (text, settings) throws(ConfigurationError) in
                guard let level = LogLevel(rawValue: text) else {
                    throw .init("must be one of debug, info, warning, error, not \(text)")
                }
                settings.logLevel = level
            }, show: { $0.logLevel.rawValue }),
        Setting(
            name: "log-format", value: "FORMAT", help: "json or text (default: text on a terminal)",
            read: { (text, settings) throws(ConfigurationError) in
                guard let format = LogFormat(rawValue: text) else {
                    throw .init("must be json or text, not \(text)")
                }
                settings.logFormat = format
            }, show: { $0.logFormat?.rawValue ?? "" }),
    ]

    static func integer(_ text: String, _ range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw .init("must be an integer from \(range.lowerBound) to \(range.upperBound), not \(text)")
        }
        return number
    }

    static func flag(_ text: String) throws(ConfigurationError) -> Bool {
        switch text {
        case "true", "1", "yes", "": return true
        case "false", "0", "no": return false
        default: throw .init("must be true or false, not \(text)")
        }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
    }
}

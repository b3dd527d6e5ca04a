import EventLoops
import Glibc
import JSON
import Services
import Telemetry

/// `serve`, `work`, `dev` and `check-config`: everything that runs by the configuration.
struct ServeCommand {
    let command: String
    let result: ConfigurationReader.Result
    let services: [ServiceDefinition]

    func run() throws -> ExitCode {
        var configuration = result.configuration
        try readRedisFile(&configuration)
        if command == "dev" { configuration.isEmbedded = configuration.redisURL == nil }
        if command == "work" { configuration.services = configuration.services ?? ["jobs"] }
        if command == "work" || command == "dev" { configuration.serviceSettings["work"] = "true" }
        // A worker is found by its queue, not by its port.
        if command == "work", configuration.port == nil { configuration.port = 0 }
        let tokens = try configuration.tokensFile.map { path in try TokensFile.read(path) } ?? .none
        // Beside servers that ask for tokens there must be no door without. Who wants to know how a worker is gets that.
        if command == "work", tokens.isEmpty { configuration.servesAPI = false }
        let chosen = try chosenServices(configuration)
        if result.printsConfiguration {
            printConfiguration(configuration)
            return .success
        }
        let log = Logger(
            level: configuration.logLevel,
            format: configuration.logFormat ?? (isatty(2) == 1 ? .text : .json))
        let warnings = FileWarnings.of(configuration, configurationFile: result.configurationFile)
        if command == "check-config" {
            try Server(configuration: configuration, services: chosen, tokens: tokens, log: log).check()
            for warning in warnings { Output.note("quartermaster: \(warning.words): \(warning.path)") }
            Output.line("the configuration is good")
            return .success
        }
        for warning in warnings { log.warning(warning.words, ["file": .string(warning.path)]) }
        return try serve(configuration, chosen, tokens, log)
    }

    private func serve(
        _ given: Configuration, _ services: [ServiceDefinition], _ tokens: Tokens, _ log: Logger
    ) throws -> ExitCode {
        var configuration = given
        ProcessLimits.raiseDescriptors()
        ProcessMemory.setUp()
        // What we make is ours alone, whatever mask we were started with: sockets, the embedded Redis's files.
        umask(0o077)
        // Before any thread is started. A terminal that is closed ends what was started from it, as ever.
        var signals = [SIGTERM, SIGINT]
        if command != "dev", configuration.tokensFile != nil || isatty(0) == 0 { signals.append(SIGHUP) }
        Signals.block(signals)
        var embedded: EmbeddedRedis?
        if configuration.isEmbedded {
            let directory = configuration.dataDirectory ?? RedisDirectory.standard
            do { embedded = try EmbeddedRedis(directory: directory, log: log) } catch {
                throw Server.StartError(description: error.description, exitCode: .unavailable)
            }
            configuration.redisURL = embedded?.url
        }
        defer { embedded?.stop() }
        let server = try Server(configuration: configuration, services: services, tokens: tokens, log: log)
        let url = try server.start()
        if command == "dev" { Output.note(ServeCommand.hints(url, embedded: embedded?.url)) }
        Output.line(JSONValue.object([.init("listening", .string(url))]).text())
        var signal = Signals.wait(for: signals)
        while signal == SIGHUP {
            server.readTokens()
            signal = Signals.wait(for: signals)
        }
        let isLost = embedded?.hasGivenUp == true
        let reason = isLost ? "no redis" : signal == SIGTERM ? "SIGTERM" : "SIGINT"
        log.info("stopping", [isLost ? "reason" : "signal": .string(reason)])
        server.stop()
        return isLost ? .unavailable : .success
    }

    /// The URL of `--redis-file`; its whole text but for spaces and line ends around it.
    private func readRedisFile(_ configuration: inout Configuration) throws(ConfigurationError) {
        guard let path = configuration.redisFile else { return }
        guard configuration.redisURL == nil else {
            throw ConfigurationError("--redis and --redis-file must not both say which Redis it is")
        }
        let text = String(decoding: try Files.read(path), as: UTF8.self)
        let url = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
        // Read as the flag itself is; what is wrong is said without the text.
        guard let setting = Setting.all.first(where: { $0.name == "redis" }) else { return }
        do { try setting.read(String(url), &configuration) } catch {
            throw ConfigurationError("\(path): \(error.description)")
        }
    }

    private func chosenServices(_ configuration: Configuration) throws(ConfigurationError) -> [ServiceDefinition] {
        guard let names = configuration.services else { return services }
        var chosen: [ServiceDefinition] = []
        for name in names {
            guard let service = services.first(where: { $0.name == name }) else {
                let known = services.map(\.name).joined(separator: ", ")
                throw ConfigurationError("--services must name some of \(known), not \(name)")
            }
            chosen.append(service)
        }
        return chosen
    }

    private func printConfiguration(_ configuration: Configuration) {
        let members = Setting.all.map { JSONValue.Member($0.name, .string($0.show(configuration))) }
        Output.line(JSONValue.object(members).text(pretty: true))
    }

    private static func hints(_ url: String, embedded: String?) -> String {
        let socket = embedded?.dropFirst("unix://".count)
        return """

            Quartermaster is listening on \(url). Try, in another terminal:

              curl -s \(url)/api/rate-limits -d '{"name":"api","strategy":"token_bucket","limit":5,"window":"1s","burst":10}'
              curl -si \(url)/api/rate-limits/check -d '{"identifier":"ann"}'
              curl -s \(url)/api/jobs -d '{"name":"hello","type":"simulated","config":{"durationMs":100}}'
            \(socket.map { "  redis-cli -s \($0) hgetall 'qm:ratelimit:{rules}:rules'\n" } ?? "")
            Ctrl-C ends it.
            """
    }
}

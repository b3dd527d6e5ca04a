import EventLoops
import Glibc
import Inventory
import JobScheduling
import RateLimiting
import Services
import Telemetry
import TestSupport
import Testing

@testable import Application

/// How a start fails where Redis refuses, and what a replica says of itself while Redis is away.
@Suite struct StartTests {
    private static var services: [ServiceDefinition] {
        [
            RateLimitService.definition(), JobSchedulingService.definition(kinds: JobKindDefinition.standard),
            InventoryService.definition(),
        ]
    }

    /// What a first start says; nil when it succeeds.
    private func failure(_ url: String) throws -> Server.StartError? {
        var configuration = Configuration()
        configuration.port = 0
        configuration.redisURL = url
        configuration.loops = 1
        let server = try Server(
            configuration: configuration, services: Self.services, tokens: .none,
            log: Logger(level: .error, format: .text))
        do { _ = try server.start(redisTimeoutUs: 5_000_000) } catch { return error }
        server.stop()
        return nil
    }

    private func expectUnavailable(_ url: String, _ words: String) throws {
        let failure = try #require(try failure(url))
        #expect(failure.exitCode == .unavailable, "\(failure)")
        #expect(failure.description.contains(words), "\(failure)")
        // A sentence, and no value of ours or secret of theirs.
        for inside in ["server(", "code:", "message:", "RedisError", "geheim"] {
            #expect(!failure.description.contains(inside), "\(failure)")
        }
    }

    @Test func aReplicaOfRedisTakesNoWrites() throws {
        let redis = try RedisServer(options: .init(arguments: ["--replicaof", "127.0.0.1", "1"]))
        try expectUnavailable(redis.url, "it is a replica")
    }

    @Test func aFullRedisTakesNoWrites() throws {
        let redis = try RedisServer(options: .init(arguments: ["--maxmemory", "100kb"]))
        try expectUnavailable(redis.url, "its memory is full")
    }

    @Test func aRedisThatCannotSaveTakesNoWrites() throws {
        let folder = try TemporaryFolder()
        let redis = try RedisServer(options: .init(arguments: ["--dir", folder.path, "--save", "3600", "1"]))
        try redis.redis("SET", "x", "1")
        #expect(rmdir(folder.path) == 0)
        try redis.redis("BGSAVE")
        #expect(try blockingUntil { try redis.redis("INFO", "persistence").contains("rdb_last_bgsave_status:err") })
        try expectUnavailable(redis.url, "it cannot save")
    }

    @Test func aRedisThatDoesNotLetUsInIsUnavailable() throws {
        let redis = try RedisServer()
        try redis.redis("ACL", "SETUSER", "weak", "on", ">geheim", "~*", "&*", "-@all", "+@read", "+info", "+auth")
        try expectUnavailable("unix://weak:geheim@" + redis.socketPath, "its user may not")
        try redis.redis("ACL", "SETUSER", "default", "resetpass", ">geheim")
        try expectUnavailable("unix://" + redis.socketPath, "asks for a password")
        try expectUnavailable("unix://default:geheimer@" + redis.socketPath, "refuses the user or the password")
    }

    /// What the configuration alone decides is another code: trying again would not help.
    @Test func whatTheConfigurationDecidesIsAnother() throws {
        #expect(try #require(throws: Server.StartError.self) { _ = try failure("http://x") }.exitCode == .configuration)
    }

    // MARK: Ready

    /// A replica without Redis still serves, as rules say: it stays ready, and says that Redis is away.
    @Test func readyIsWhoServesWithRedisOrWithout() async throws {
        let redis = try RedisServer()
        let server = try TestServer(redis: redis)
        func ask(_ path: String) throws -> (status: Int, redis: String?) {
            let answer = try server.request("GET", path)
            if case .string(let word)? = answer.json?["redis"] { return (answer.status, word) }
            return (answer.status, nil)
        }
        #expect(try ask("/readyz") == (200, "ready") && ask("/readyz?redis") == (200, "ready"))
        redis.kill()
        #expect(try await eventually { try ask("/readyz") == (200, "away") })
        let away = try server.request("GET", "/readyz?redis")
        #expect(away.status == 503 && away.header("Retry-After") == "1" && away.text.contains("Redis is out of reach"))
        #expect(try server.request("GET", "/healthz").status == 200)
        #expect(try server.request("HEAD", "/readyz").status == 200)
        try redis.restart()
        #expect(try await eventually { try ask("/readyz?redis") == (200, "ready") })
    }
}

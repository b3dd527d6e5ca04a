import EventLoops
import TestSupport
import Testing

@testable import Redis

@Suite struct CommandTests {
    @Test func repliesOfEveryKind() async throws {
        let server = try RedisServer.shared
        let key = server.prefix() + "k"
        let client = try await Client.connect(server.url)
        #expect(try await client.send("SET", key, "väl\r\nue\0") == .status("OK"))
        #expect(try await client.send("GET", key) == .bytes(Array("väl\r\nue\0".utf8)))
        #expect(try await client.send("GET", key + "none") == .null)
        #expect(try await client.send("APPEND", key, "x").int == 10)
        #expect(try await client.send("RPUSH", key + "l", "a", "", "b") == .integer(3))
        #expect(try await client.send("LRANGE", key + "l", "0", "-1").strings == ["a", "", "b"])
        #expect(try await client.send("LRANGE", key + "none", "0", "-1") == .array([]))
        #expect(
            try await client.send("EVAL", "return {1, {'a', false}, redis.status_reply('S')}", "0")
                == .array([.integer(1), .array([.bytes([97]), .null]), .status("S")]))
        await #expect(
            throws: RedisError.server(
                code: "WRONGTYPE", message: "WRONGTYPE Operation against a key holding the wrong kind of value")
        ) { try await client.send("INCR", key + "l") }
        let long = String(repeating: "0123456789", count: 100_000)
        #expect(try await client.send("ECHO", long).string == long)
    }

    @Test func overTCPToo() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect("redis://localhost:\(server.port!)/2")
        let key = server.prefix() + "k"
        _ = try await client.send("SET", key, "1")
        #expect(try await client.send("GET", key).int == 1)
        // Another database than the one the tests look into.
        #expect(try server.redis("EXISTS", key) == "0")
    }

    /// All commands of a tick leave in one write: Redis reads once.
    @Test func oneWritePerTick() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let observer = try server.connect()
        func reads() throws -> Int {
            let line = try observer("INFO", "stats").text.split(separator: "\r\n").first {
                $0.hasPrefix("total_reads_processed:")
            }
            return Int(line?.split(separator: ":").last ?? "") ?? 0
        }
        let before = try reads()
        let outcomes = Outcomes()
        try await client.run { client in
            for i in 0..<100 {
                client.submit(NotedCall(i, ["INCR", "n"], outcomes), budgetUs: longestWaitUs)
            }
        }
        #expect(await eventually { outcomes.count == 100 })
        #expect(outcomes.all == (0..<100).map { Outcome(number: $0, result: .success(.integer($0 + 1))) })
        // One more: the observer's own question.
        #expect(try reads() - before == 2)
        #expect(try await client.run { $0.deepestPipeline } == 100)
    }

    @Test func manyMoreThanFitOneWrite() async throws {
        let server = try RedisServer.shared
        let key = server.prefix() + "n"
        let client = try await Client.connect(server.url)
        let outcomes = Outcomes()
        let padding = String(repeating: "x", count: 200)
        try await client.run { client in
            for i in 0..<20_000 {
                client.submit(
                    NotedCall(i, ["EVAL", "return redis.call('INCR', KEYS[1])", "1", key, padding], outcomes),
                    budgetUs: longestWaitUs)
            }
        }
        #expect(await eventually { outcomes.count == 20_000 })
        #expect(outcomes.all.map(\.number) == Array(0..<20_000))
        #expect(outcomes.all.enumerated().allSatisfy { $1.result == .success(.integer($0 + 1)) })
    }

    @Test func commandsCarryTheirKey() {
        let call = CommandCall(["GET", "k"], key: "{a}k") { _ in }
        guard case .key(let key) = call.route else {
            Issue.record("no key")
            return
        }
        #expect(key.string == "{a}k")
    }

    @Test func infoAndVersion() async throws {
        let client = try await Client.connect(try RedisServer.shared.url)
        let info = try await client.run { $0.serverInfo }
        #expect(info["maxmemory_policy"] == "noeviction")
        #expect(info["redis_version"]?.isEmpty == false)
    }

    @Test(arguments: [
        ("7.0.0", true), ("7.2.4", true), ("8.0", true), ("10.1.1", true), ("6.2.14", false), ("", false),
    ])
    func versionsFrom7(_ version: String, _ isGood: Bool) {
        #expect(((try? RedisNode.checkVersion(version)) != nil) == isGood)
    }
}

import EventLoops
import TestSupport
import Testing

@testable import Redis

@Suite struct ScriptTests {
    static let add = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")

    @Test func runsByItsHash() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url, scripts: [ScriptTests.add])
        for i in 1...3 {
            let reply = try await client.run {
                try await $0.run(ScriptTests.add, keys: ["n"], arguments: ["2"], budgetUs: longestWaitUs)
            }
            #expect(reply == .integer(2 * i))
        }
        let calls = try server.redis("INFO", "commandstats")
        #expect(calls.contains("cmdstat_evalsha:calls=3"))
        #expect(!calls.contains("cmdstat_eval:"))
        #expect(try await client.run { $0.scriptRetries } == 0)
    }

    @Test func aForgottenScriptIsSentWholeOnce() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url, scripts: [ScriptTests.add])
        try server.redis("SCRIPT", "FLUSH")
        for i in 1...3 {
            let reply = try await client.run {
                try await $0.run(ScriptTests.add, keys: ["n"], arguments: ["1"], budgetUs: longestWaitUs)
            }
            #expect(reply == .integer(i))
        }
        // The text is remembered by Redis again, so the later calls go by the hash.
        #expect(try await client.run { $0.scriptRetries } == 1)
        #expect(try server.redis("INFO", "commandstats").contains("cmdstat_eval:calls=1,"))
    }

    @Test func aScriptsOwnErrorIsNoReasonToRepeatIt() async throws {
        let server = try RedisServer.shared
        let failing = Script("failing", "redis.call('INCR', KEYS[1]) return redis.error_reply('NOSCRIPT of its own')")
        let client = try await Client.connect(server.url, scripts: [failing])
        let key = server.prefix() + "n"
        await #expect(throws: RedisError.server(code: "NOSCRIPT", message: "NOSCRIPT of its own")) {
            try await client.run {
                try await $0.run(failing, keys: [key], arguments: [], budgetUs: longestWaitUs)
            }
        }
        #expect(try server.redis("GET", key) == "1")
    }

    @Test func whatAnErrorEndedMayHaveHadAnEffect() async throws {
        let server = try RedisServer.shared
        let key = server.prefix() + "n"
        let halfway = Script("halfway", "redis.call('INCR', KEYS[1]) return redis.call('LPUSH', KEYS[1], 'x')")
        let client = try await Client.connect(server.url, scripts: [halfway])
        let inside = await #expect(throws: RedisError.self) {
            try await client.run {
                try await $0.run(halfway, keys: [key], arguments: [], budgetUs: longestWaitUs)
            }
        }
        #expect(try server.redis("GET", key) == "1")
        #expect(inside?.mayHaveRun == true, "\(String(describing: inside))")
        let refused = await #expect(throws: RedisError.self) { try await client.send("LPUSH", key, "x") }
        #expect(refused?.mayHaveRun == false)
    }

    /// Scripts are flushed all the time while calls are in flight: each call runs exactly once, in order, without error.
    @Test func flushesAmongCallsInFlightAreNoErrors() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url, scripts: [ScriptTests.add])
        let isDone = Journal<Bool>()
        Threads.start("flusher") {
            guard let connection = try? server.connect() else { return }
            while isDone.count == 0 { _ = try? connection("SCRIPT", "FLUSH") }
        }
        let replies = try await client.run { client in
            var replies: [RedisReply] = []
            for _ in 0..<200 {
                let waiting = Journal<Result<RedisReply, RedisError>>()
                for _ in 0..<10 {
                    client.submit(
                        CommandCall(ScriptTests.add, keys: ["n"], arguments: ["1"]) { waiting.add($0) },
                        budgetUs: longestWaitUs)
                }
                while waiting.count < 10 { await client.loop.sleep(us: 200) }
                replies += try waiting.all.map { try $0.get() }
            }
            return replies
        }
        isDone.add(true)
        #expect(replies.compactMap(\.int).sorted() == Array(1...2000))
        #expect(try server.redis("GET", "n") == "2000")
        #expect(try await client.run { $0.scriptRetries } > 0)
    }
}

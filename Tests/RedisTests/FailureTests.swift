import EventLoops
import TestSupport
import Testing

@testable import Redis

@Suite struct FailureTests {
    @Test func pausedAndResumed() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        server.pause()
        await #expect(throws: RedisError.timeout) { try await client.send("INCR", "n", budgetUs: 20_000) }
        server.resume()
        // The command that was given up was run all the same, before this one.
        #expect(try await client.send("INCR", "n") == .integer(2))
    }

    @Test func killedAndRestarted() async throws {
        let server = try RedisServer()
        let script = Script("one", "return 1")
        let client = try await Client.connect(server.url, scripts: [script])
        let changes = Journal<Bool>()
        try await client.run { $0.onStateChange = { isReady, _ in changes.add(isReady) } }
        for round in 1...2 {
            server.kill()
            #expect(await eventually { changes.count == 2 * round - 1 })
            await #expect(throws: RedisError.unavailable) { try await client.send("PING") }
            try server.restart()
            #expect(await client.isReady(within: longestWaitUs))
            #expect(try await client.send("PING") == .status("PONG"))
            let reply = try await client.run { try await $0.run(script, keys: [], arguments: [], budgetUs: 1_000_000) }
            #expect(reply == .integer(1))
            #expect(try await client.run { $0.scriptRetries } == 0)
            #expect(try await client.run { $0.reconnects } == round)
        }
        #expect(changes.all == [false, true, false, true])
    }

    /// Nothing listens at first: the client keeps trying, and those who wait for it are told.
    @Test(arguments: [false, true]) func startedBeforeRedis(_ isTCP: Bool) async throws {
        let server = try RedisServer(options: .init(listensOnTCP: isTCP))
        server.kill()
        let client = try await Client.start(isTCP ? server.tcpURL : server.url)
        #expect(await client.isReady(within: 30_000) == false)
        async let isReady = client.isReady(within: longestWaitUs)
        try server.restart()
        #expect(await isReady)
        #expect(try await client.send("PING") == .status("PONG"))
    }

    @Test func aNameThatDoesNotExist() async throws {
        let client = try await Client.start("redis://does-not-exist.invalid:1")
        #expect(await client.isReady(within: 100_000) == false)
        await #expect(throws: RedisError.unavailable) { try await client.send("PING") }
    }

    /// Commands in flight when Redis cuts the connection may have run.
    @Test func killedConnectionsFailTheirCallsOnce() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        for round in 0..<20 {
            #expect(await client.isReady(within: longestWaitUs))
            let id = try await client.connectionID()
            let outcomes = Outcomes()
            try await client.run { client in
                client.submit(NotedCall(0, ["BLPOP", "none", "0"], outcomes), budgetUs: longestWaitUs)
                for i in 1...5 { client.submit(NotedCall(i, ["INCR", "n"], outcomes), budgetUs: longestWaitUs) }
            }
            #expect(await eventually { (try? server.redis("INFO", "clients").contains("blocked_clients:1")) == true })
            #expect(try server.redis("CLIENT", "KILL", "ID", id) == "1")
            #expect(await eventually { outcomes.count >= 6 })
            #expect(
                outcomes.all == (0...5).map { Outcome(number: $0, result: .failure(.lost)) }, "in round \(round)")
        }
    }

    /// A call that is completed may send the next one, also while its connection is being torn down.
    @Test func callsMadeInsideCompletions() async throws {
        final class Chain: RedisCall {
            let client: RedisClient
            let outcomes: Outcomes
            var number = 0
            init(_ client: RedisClient, _ outcomes: Outcomes) { (self.client, self.outcomes) = (client, outcomes) }
            var route: RedisRoute { .any }
            func encode(to writer: RESPWriter) {
                writer.command(2)
                writer.argument("INCR" as StaticString)
                writer.argument("chain" as StaticString)
            }
            func completed(_ result: Result<ReplyView, RedisError>) {
                outcomes.add(Outcome(number: number, result: result.map(\.copy)))
                number += 1
                if number < 1000 || result.map(\.copy) == .failure(.lost) { client.submit(self, budgetUs: 1_000_000) }
            }
        }
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let outcomes = Outcomes()
        try await client.run { client in
            client.submit(Chain(client, outcomes), budgetUs: 1_000_000)
        }
        #expect(await eventually { outcomes.count >= 100 })
        server.kill()
        #expect(
            await eventually {
                if case .failure(.unavailable)? = outcomes.all.last?.result { true } else { outcomes.count >= 1000 }
            })
    }

    /// A client may be closed, and released, at any moment of its life.
    @Test func closedAtAnyMoment() async throws {
        let server = try RedisServer(options: .init(listensOnTCP: true))
        var random = SeededRandom()
        let thread = LoopThread()
        for i in 0..<60 {
            let client = try await Client.start(
                i.isMultiple(of: 2) ? server.url : "redis://localhost:\(server.port!)",
                scripts: [Script("a", "return 1"), Script("b", "return 2")], on: thread)
            let pauseUs = Int64(random.int(0...3000))
            let closesFirst = random.oneIn(2)
            let outcomes = Outcomes()
            try await client.run { client in
                await client.loop.sleep(us: pauseUs)
                for n in 0..<3 { client.submit(NotedCall(n, ["PING"], outcomes), budgetUs: 1_000_000) }
                if closesFirst { await client.close() }
            }
            if closesFirst { #expect(await eventually { outcomes.count == 3 }, "seed \(random.seed)") }
        }
        // Nobody is left at the other end but who asks.
        #expect(
            await eventually {
                (try? server.redis("CLIENT", "LIST"))?.split(separator: "\n").count == 1
            })
        withExtendedLifetime(thread) {}
    }
}

import EventLoops
import Glibc
import TestSupport
import Testing

@testable import Redis

@Suite struct DeadlineTests {
    /// Calls beyond their budget are given up; their replies, which come later, are nobody else's.
    @Test func lateRepliesAreSwallowedInOrder() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        server.pause()
        let outcomes = Outcomes()
        try await client.run { client in
            for i in 0..<10 {
                client.submit(
                    NotedCall(i, ["ECHO", "\(i)"], outcomes), budgetUs: i.isMultiple(of: 2) ? 20_000 : longestWaitUs)
            }
        }
        #expect(await eventually { outcomes.count == 5 })
        #expect(outcomes.all == [0, 2, 4, 6, 8].map { Outcome(number: $0, result: .failure(.timeout)) })
        server.resume()
        #expect(await eventually { outcomes.count == 10 })
        #expect(
            outcomes.all.suffix(5)
                == [1, 3, 5, 7, 9].map { Outcome(number: $0, result: .success(.bytes(Array("\($0)".utf8)))) })
        #expect(try await client.send("ECHO", "after").string == "after")
        // It was one and the same connection throughout.
        #expect(try await client.run { $0.reconnects } == 0)
    }

    /// Each call has its own budget, whatever the budgets of those before and after it are.
    @Test func unequalBudgets() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url) { $0.stallUs = longestWaitUs }
        server.pause()
        defer { server.resume() }
        let outcomes = Outcomes()
        let budgetsMs = [300, 100, 200, 5, 400, 50]
        let sentUs = try await client.run { client in
            for (i, budgetMs) in budgetsMs.enumerated() {
                client.submit(NotedCall(i, ["PING"], outcomes), budgetUs: Int64(budgetMs) * 1000)
            }
            return MonotonicClock.nowUs()
        }
        #expect(await eventually { outcomes.count == budgetsMs.count })
        #expect(outcomes.all.map(\.number) == [3, 5, 1, 2, 0, 4])
        #expect(outcomes.all.allSatisfy { $0.result == .failure(.timeout) })
        #expect(MonotonicClock.nowUs() - sentUs >= 400_000)
    }

    /// A short budget after the timer was set for a long one.
    @Test func aShorterBudgetIsMetToo() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url) { $0.stallUs = longestWaitUs }
        server.pause()
        defer { server.resume() }
        let outcomes = Outcomes()
        try await client.run { client in
            client.submit(NotedCall(0, ["PING"], outcomes), budgetUs: longestWaitUs)
            await client.loop.sleep(us: 5000)
            client.submit(NotedCall(1, ["PING"], outcomes), budgetUs: 10_000)
        }
        #expect(await eventually { outcomes.count == 1 })
        #expect(outcomes.all == [Outcome(number: 1, result: .failure(.timeout))])
    }

    /// No more commands wait than the configuration says, those given up included: Redis still owes their replies.
    @Test func overload() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url) {
            $0.maxPending = 10
            $0.stallUs = longestWaitUs
        }
        server.pause()
        let outcomes = Outcomes()
        try await client.run { client in
            for i in 0..<10 { client.submit(NotedCall(i, ["INCR", "n"], outcomes), budgetUs: 1000) }
            client.submit(NotedCall(10, ["INCR", "n"], outcomes), budgetUs: longestWaitUs)
        }
        #expect(outcomes.all.first == Outcome(number: 10, result: .failure(.overloaded)))
        #expect(await eventually { outcomes.count == 11 })
        try await client.run { $0.submit(NotedCall(11, ["INCR", "n"], outcomes), budgetUs: longestWaitUs) }
        #expect(outcomes.all.last == Outcome(number: 11, result: .failure(.overloaded)))
        server.resume()
        #expect(
            await eventually {
                (try? await client.send("GET", "n").int) == 10
            })
    }

    /// A peer that is gone without a word: the connection is cut after a while, and its calls fail.
    @Test func aSilentPeerIsCutOff() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url) { $0.stallUs = 300_000 }
        let id = try await client.connectionID()
        server.pause()
        let outcomes = Outcomes()
        try await client.run { $0.submit(NotedCall(0, ["PING"], outcomes), budgetUs: longestWaitUs) }
        #expect(await eventually { outcomes.count == 1 })
        #expect(outcomes.all == [Outcome(number: 0, result: .failure(.lost))])
        #expect(try await client.run { $0.isReady } == false)
        server.resume()
        #expect(await client.isReady(within: longestWaitUs))
        #expect(try await client.connectionID() != id)
    }

    /// Silence is no reason to cut a connection on which nothing is awaited, nor are commands that take their time.
    @Test func idleAndBusyConnectionsStay() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url) { $0.stallUs = 100_000 }
        let id = try await client.connectionID()
        try await client.run { await $0.loop.sleep(us: 300_000) }
        for _ in 0..<20 {
            _ = try await client.send("PING")
            try await client.run { await $0.loop.sleep(us: 10_000) }
        }
        #expect(try await client.connectionID() == id)
    }

    /// What the loop is busy with itself is not counted: neither between a call and its sending, nor while its reply waits.
    @Test func aLoopThatIsHeldUpBlamesNobody() async throws {
        let client = try await Client.connect(try RedisServer.shared.url)
        let outcomes = Outcomes()
        try await client.run { client in
            client.submit(NotedCall(0, ["ECHO", "0"], outcomes), budgetUs: 20_000)
            _ = usleep(100_000)
        }
        #expect(await eventually { outcomes.count == 1 })
        try await client.run { client in client.submit(NotedCall(1, ["ECHO", "1"], outcomes), budgetUs: 20_000) }
        // The next tick of the loop may begin before the reply is there, and lasts longer than the call's time.
        try await client.run { _ in _ = usleep(100_000) }
        #expect(await eventually { outcomes.count == 2 })
        #expect(outcomes.all == (0...1).map { Outcome(number: $0, result: .success(.bytes(Array("\($0)".utf8)))) })
    }
}

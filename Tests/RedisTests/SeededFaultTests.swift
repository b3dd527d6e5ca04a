import TestSupport
import Testing

@testable import Redis

/// A client behind a network that does what it likes. What Redis has done is compared with what the client was told.
struct SeededFaultTests {
    private static let calls = 600

    /// Every call adds a number of its own to a set, and asks for its own name: an answer never goes to another call, what
    /// was answered was done, and what is said to be surely not done was not.
    @Test(arguments: [false, true]) func whatIsSaidIsTrue(onSocket: Bool) async throws {
        let redis = try RedisServer.shared
        let key = redis.prefix() + "done"
        let schedule = FaultSchedule(oneIn: 20, longestUs: 60_000)
        let proxy = try RedisFaultProxy(
            to: .unix(path: redis.socketPath), plan: .seeded(schedule), listensOnSocket: onSocket)
        let client = try await Client.connect(proxy.url)
        proxy.begin()
        let outcomes = Outcomes()
        // One call, one number: ARGV says it back.
        let script = Script("note", "redis.call('SADD', '\(key)', ARGV[1]) return ARGV[1]")
        for number in 0..<SeededFaultTests.calls {
            // A few at a time, or one silent moment would swallow them all.
            if number % 10 == 0 { _ = await eventually { outcomes.count >= number - 10 } }
            _ = await client.isReady(within: longestWaitUs)
            try await client.run { client in
                client.submit(
                    NotedCall(number, [String(number)], script: script, outcomes), budgetUs: 200_000)
            }
        }
        proxy.calm()
        #expect(await eventually { outcomes.count == SeededFaultTests.calls }, "\(proxy)")
        let done = Set(try redis.connect().command(["SMEMBERS", key]).elements.map(\.text))
        #expect(Set(outcomes.all.map(\.number)).count == SeededFaultTests.calls, "each is completed once; \(proxy)")
        for outcome in outcomes.all {
            let name = String(outcome.number)
            switch outcome.result {
            case .success(let reply):
                #expect(reply.string == name && done.contains(name), "\(proxy)")
            case .failure(let error) where error.mayHaveRun: break
            case .failure(let error):
                #expect(!done.contains(name), "\(name) was done, and \(error) was said; \(proxy)")
            }
        }
        let answered = outcomes.all.count { if case .success = $0.result { true } else { false } }
        #expect(answered > SeededFaultTests.calls / 10 && !proxy.suffered.isEmpty, "\(answered) answered; \(proxy)")
        // And then all is well again.
        #expect(await client.isReady(within: longestWaitUs))
        #expect(try await client.send("ECHO", "there") == .bytes(Array("there".utf8)))
    }

    /// Transactions of many at once, each adding one to a counter and writing down that it did.
    @Test func transactionsAreWholeOrNot() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let proxy = try RedisFaultProxy(
            redis, schedule: FaultSchedule(oneIn: 12, longestUs: 40_000))
        let client = try await Client.connect(proxy.url)
        proxy.begin()
        let (counter, list) = (prefix + "{t}counter", prefix + "{t}list")
        let told = Journal<String>()
        let add: @Sendable (RedisClient, Int) async throws -> ExecOutcome = { client, number in
            try await client.transaction(key: counter, budgetUs: 300_000) { transaction in
                try await transaction.watch([counter])
                let value = try await transaction.send(["GET", counter]).int ?? 0
                transaction.queue(["SET", counter, String(value + 1)])
                transaction.queue(["RPUSH", list, String(number)])
                return await transaction.exec()
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<3 {
                group.addTask {
                    for number in 0..<50 {
                        let name = worker * 1000 + number
                        if case .done? = try? await client.run({ try await add($0, name) }) { told.add(String(name)) }
                    }
                }
            }
        }
        proxy.calm()
        let written = try redis.connect().command(["LRANGE", list, "0", "-1"]).elements.map(\.text)
        #expect(try redis.redis("GET", counter) == String(written.count), "\(proxy)")
        #expect(Set(written).count == written.count, "done once each; \(proxy)")
        #expect(Set(told.all).isSubset(of: written), "\(proxy)")
        #expect(told.count > 20 && !proxy.suffered.isEmpty, "\(told.count) done; \(proxy)")
    }
}

import EventLoops
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized) struct SentinelTests {
    private func set(_ client: Client, _ value: String) async -> Bool {
        (try? await client.send("SET", "k", value, budgetUs: 300_000)) == .status("OK")
    }

    @Test func theMasterIsTheOneThatSentinelNames() async throws {
        let sentinels = try RedisSentinels()
        let client = try await Client.connect(sentinels.url)
        #expect(await set(client, "1"))
        #expect(try sentinels.servers[0].redis("GET", "k") == "1")
    }

    @Test(arguments: [false, true]) func aMasterThatDiesOrHangsIsReplaced(_ isPaused: Bool) async throws {
        let sentinels = try RedisSentinels()
        let client = try await Client.connect(sentinels.url)
        #expect(await set(client, "1"))
        let first = sentinels.servers[0]
        if isPaused { first.pause() } else { first.kill() }
        #expect(await eventually { await set(client, "2") })
        let second = sentinels.servers[1]
        #expect(try second.redis("GET", "k") == "2")
        guard isPaused else { return }
        // The old one believes for a while that it still is the master; nobody asks it.
        first.resume()
        for i in 0..<20 { #expect(await set(client, "after-\(i)")) }
        #expect(try second.redis("GET", "k") == "after-19")
    }

    /// An ordered change of roles: what the old master refuses as a replica is done by the new one.
    @Test func noCallFailsForAReplicasRefusal() async throws {
        let sentinels = try RedisSentinels()
        let client = try await Client.connect(sentinels.url)
        let before = try sentinels.master()
        try sentinels.failOver()
        #expect(try sentinels.master() !== before)
        #expect(try await client.send("SET", "k", "1") == .status("OK"))
        #expect(await eventually { (try? before.redis("ROLE").hasPrefix("slave")) == true })
        #expect(try await client.send("SET", "k", "2") == .status("OK"))
        let outcome = try await client.run { client in
            try await client.transaction(key: "k", budgetUs: longestWaitUs) { transaction in
                try await transaction.watch(["k"])
                transaction.queue(["INCR", "k"])
                return await transaction.exec()
            }
        }
        #expect(outcome == .done([.integer(3)]))
    }

    @Test func aSentinelThatDiesIsNotMissed() async throws {
        let sentinels = try RedisSentinels()
        let client = try await Client.connect(sentinels.url)
        sentinels.kill(sentinel: 0)
        sentinels.servers[0].kill()
        #expect(await eventually { await set(client, "2") })
    }

    @Test func everyReignHasAnotherName() async throws {
        let sentinels = try RedisSentinels()
        let client = try await Client.connect(sentinels.url)
        func reign() async throws -> String {
            try await client.run { client in "k".withByteView { client.reign(of: $0) } }
        }
        let first = try await reign()
        #expect(!first.isEmpty)
        try sentinels.failOver()
        #expect(await eventually { await set(client, "1") })
        #expect(await eventually { (try? await reign()).map { $0 != first && !$0.isEmpty } ?? false })
    }
}

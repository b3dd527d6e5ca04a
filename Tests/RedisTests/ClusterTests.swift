import Bytes
import EventLoops
import TestSupport
import Testing

@testable import Redis

@Suite(.serialized) struct ClusterTests {
    static let add = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
    /// Touches more than it names, so it names a key that never is.
    private static let pair = Script(
        "pair",
        """
        redis.call('INCR', KEYS[1] .. ':left')
        return redis.call('INCR', KEYS[1] .. ':right')
        """)

    func client(_ cluster: RedisCluster) async throws -> Client {
        try await Client.connect(cluster.url, scripts: [ClusterTests.add, ClusterTests.pair])
    }

    private func key(_ i: Int) -> String { "k:{\(i)}" }

    func add(_ client: Client, _ key: String, budgetUs: Int64 = longestWaitUs) async throws -> Int? {
        try await client.run {
            try await $0.run(ClusterTests.add, keys: [key], arguments: ["1"], budgetUs: budgetUs).int
        }
    }

    private func addPair(_ client: Client, _ tag: String, budgetUs: Int64) async throws -> Int? {
        try await client.run {
            try await $0.run(
                ClusterTests.pair, keys: [tag, tag + ":whole"], arguments: [], budgetUs: budgetUs
            ).int
        }
    }

    @Test func everyNodeIsAskedWhatItHas() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        for i in 0..<60 { #expect(try await add(client, key(i)) == 1) }
        for i in 0..<60 { #expect(try cluster.redis("GET", key(i)) == .text("1")) }
        let nodes = try await client.run { client in
            Set((0..<60).map { i in "k:{\(i)}".withByteView { client.node(of: $0) } })
        }
        #expect(nodes.count == 3)
        let outcome = try await client.run { client in
            try await client.transaction(key: "{t}", budgetUs: longestWaitUs) { transaction in
                try await transaction.watch(["{t}:a"])
                transaction.queue(["SET", "{t}:a", "1"])
                transaction.queue(["SET", "{t}:b", "2"])
                return await transaction.exec()
            }
        }
        #expect(outcome == .done([.status("OK"), .status("OK")]))
    }

    @Test func aSlotOnTheMoveIsAskedForWhereItIs() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        #expect(try await add(client, "{m}:1") == 1)
        #expect(try await addPair(client, "{m}", budgetUs: longestWaitUs) == 1)
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        try cluster.beginMove(ofSlot: slot, to: target)
        // One key at a time goes on, be it here or there.
        #expect(try await add(client, "{m}:1") == 2)
        #expect(try await add(client, "{m}:new") == 1)
        #expect(try cluster.keys(ofSlot: slot, on: target) == ["{m}:new"])
        // What touches more acts whole or not at all, and other slots are not touched by it.
        await #expect(throws: RedisError.self) { try await addPair(client, "{m}", budgetUs: 200_000) }
        #expect(try cluster.keys(ofSlot: slot, on: target) == ["{m}:new"])
        #expect(try source.redis("GET", "{m}:left") == "1")
        #expect(try source.redis("GET", "{m}:right") == "1")
        #expect(try await addPair(client, "{other}", budgetUs: longestWaitUs) == 1)
        // It is done when the slot has come to rest, within the call's time.
        async let waiting = addPair(client, "{m}", budgetUs: longestWaitUs)
        try cluster.moveKeys(ofSlot: slot, to: target)
        try cluster.endMove(ofSlot: slot, to: target)
        #expect(try await waiting == 2)
        #expect(try await add(client, "{m}:1") == 3)
        #expect(try await addPair(client, "{m}", budgetUs: longestWaitUs) == 3)
    }

    @Test func aScriptsAnswerNamesTheServerThatRanIt() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        let (slot, script) = (RedisSlot.of("named"), ClusterTests.pair)
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        func runID(_ server: RedisServer) throws -> String {
            let lines = try server.redis("INFO", "server").split(whereSeparator: \.isNewline)
            return String(lines.first { $0.hasPrefix("run_id:") }!.dropFirst(7))
        }
        // The loop is kept busy while the slot goes, and so asks the node that had it.
        let names = try await client.run { client in
            let (keys, budgetUs) = (["{named}", "{named}:whole"], longestWaitUs)
            let first = try await client.runNamingServer(script, keys: keys, arguments: [], budgetUs: budgetUs)
            try cluster.move(slot: slot, to: target)
            let known = "named".withByteView { client.serverRunID(of: $0) }
            let second = try await client.runNamingServer(script, keys: keys, arguments: [], budgetUs: budgetUs)
            return [first.server, known, second.server]
        }
        #expect(try names == [runID(source), runID(source), runID(target)])
    }

    @Test func aTransactionFollowsItsSlot() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        try cluster.redis("SET", "{m}", "1")
        try cluster.move(slot: slot, to: target)
        let outcome = try await client.run { client in
            try await client.transaction(key: "{m}", budgetUs: longestWaitUs) { transaction in
                try await transaction.watch(["{m}"])
                transaction.queue(["INCR", "{m}"])
                return await transaction.exec()
            }
        }
        #expect(outcome == .done([.integer(2)]))
    }

    /// A connection that serves one key goes to the slot's new node by itself.
    @Test func anExclusiveConnectionFollowsItsSlot() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        let ready = Journal<Bool>()
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        let held = try await client.run { client in
            let connection = ExclusiveConnection(of: client, serving: "{m}", scripts: [])
            connection.onReady = { ready.add(true) }
            connection.start()
            return LoopBound(connection, loop: client.loop)
        }
        #expect(await eventually { ready.count == 1 })
        try cluster.move(slot: slot, to: target)
        let outcomes = Outcomes()
        try await client.run { _ in held.value.submit(NotedCall(1, ["GET", "{m}"], outcomes), budgetUs: longestWaitUs) }
        #expect(await eventually { ready.count == 2 })
        try await client.run { _ in held.value.submit(NotedCall(2, ["GET", "{m}"], outcomes), budgetUs: longestWaitUs) }
        #expect(await eventually { outcomes.count == 2 })
        #expect(outcomes.all[1].result == .success(.null))
        try await client.run { _ in held.value.close() }
    }

    @Test func aMasterThatDiesIsReplaced() async throws {
        let cluster = try RedisCluster(masters: 3, replicas: 1)
        let client = try await client(cluster)
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        // WAIT speaks of what its own connection has written.
        let writer = try source.connect()
        try writer("INCR", "{m}")
        #expect(try writer("WAIT", "1", "5000") == .integer(1))
        let other = try #require(
            (0..<60).map(key).first { (try? cluster.owner(ofSlot: cluster.slot(of: $0))) !== source })
        source.kill()
        // Others go on meanwhile.
        #expect(try await add(client, other) == 1)
        #expect(await eventually { (try? await add(client, "{m}", budgetUs: 500_000)) != nil })
        #expect(try cluster.owner(ofSlot: slot) !== source)
        #expect(Int(try cluster.redis("GET", "{m}").text)! >= 2)
    }

    /// One that is only silent keeps its connections: who serves its slots is asked elsewhere.
    @Test func aMasterThatHangsIsReplaced() async throws {
        let cluster = try RedisCluster(masters: 3, replicas: 1)
        let client = try await client(cluster)
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        source.pause()
        defer { source.resume() }
        #expect(await eventually { (try? await add(client, "{m}", budgetUs: 500_000)) != nil })
    }

    @Test func whatIsPublishedOnOneNodeReachesAll() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        let heard = Journal<String>()
        let subscribed = Journal<Bool>()
        let subscriber = try await client.run { client in
            let subscriber = RedisSubscriber(of: client)
            subscriber.subscribe("news") { heard.add($0.string) }
            subscriber.onResubscribed = { subscribed.add(true) }
            subscriber.start()
            return LoopBound(subscriber, loop: client.loop)
        }
        #expect(await eventually { subscribed.count == 1 })
        for node in cluster.masters { try node.redis("PUBLISH", "news", "\(node.port!)") }
        #expect(await eventually { heard.count == 3 })
        try await client.run { _ in subscriber.value.close() }
    }
}

extension ClusterTests {
    /// The node that is asked who serves what is taken out of the cluster: it answers, and knows nothing of what is new.
    @Test func aNodeThatWasForgottenIsNotBelievedForEver() async throws {
        let cluster = try RedisCluster(masters: 3, replicas: 1)
        // The one that is named first is asked first; it serves nothing.
        let seed = cluster.replicas[0]
        let others = cluster.nodes.filter { $0 !== seed }
        let client = try await Client.connect(
            "redis+cluster://127.0.0.1:\(seed.port!),"
                + others.map { "127.0.0.1:\($0.port!)" }.joined(separator: ","),
            scripts: [ClusterTests.add])
        let id = try seed.redis("CLUSTER", "MYID")
        for node in others { try node.redis("CLUSTER", "FORGET", id) }
        try seed.redis("CLUSTER", "RESET", "SOFT")
        let gone = cluster.masters[1]
        let its = try #require(
            (0..<200).map { "{\($0)}" }.first {
                (try? cluster.masters[0].connect().exchange(["GET", $0]).text.hasSuffix(":\(gone.port!)")) == true
            })
        gone.kill()
        #expect(await eventually { (try? await add(client, its, budgetUs: 500_000)) != nil })
    }

    /// Told to ask elsewhere again and again, a call is answered as soon as it can be.
    @Test func anAskIsFollowedAfterPauses() async throws {
        let cluster = try RedisCluster()
        let client = try await client(cluster)
        let slot = try cluster.slot(of: "{m}")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        try cluster.redis("SET", "{m}:1", "1")
        try cluster.redis("SET", "{m}:2", "1")
        try cluster.beginMove(ofSlot: slot, to: target)
        try cluster.moveKeys(ofSlot: slot, to: target, most: 1)
        // Of two keys one is there and one is here.
        async let sum = client.send("EXISTS", "{m}:1", "{m}:2")
        #expect(await eventually { (try? rejected(source)).map { $0 >= 4 } ?? false })
        try cluster.moveKeys(ofSlot: slot, to: target)
        // The slot is never given to the target: only ASK leads there.
        #expect(try await sum == .integer(2))
    }

    /// How often a node has refused EXISTS.
    private func rejected(_ node: RedisServer) throws -> Int {
        let line = try node.redis("INFO", "commandstats").split(whereSeparator: \.isNewline).first {
            $0.hasPrefix("cmdstat_exists")
        }
        return line?.split(separator: ",").first { $0.hasPrefix("rejected_calls=") }.flatMap {
            Int($0.dropFirst("rejected_calls=".count))
        } ?? 0
    }
}

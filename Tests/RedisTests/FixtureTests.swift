import TestSupport
import Testing

/// The fixtures themselves: a suite over a cluster that is none would prove nothing.
@Suite struct FixtureTests {
    @Test func aClusterMovesASlotAndItsKeys() throws {
        let cluster = try RedisCluster(masters: 3, replicas: 1)
        try cluster.redis("SET", "{a}:1", "x")
        try cluster.redis("SET", "{a}:2", "y")
        let slot = try cluster.slot(of: "{a}")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        try cluster.beginMove(ofSlot: slot, to: target)
        try cluster.moveKeys(ofSlot: slot, to: target, most: 1)
        #expect(try cluster.keys(ofSlot: slot, on: source).count == 1)
        #expect(try cluster.keys(ofSlot: slot, on: target).count == 1)
        // With a key that is nowhere beside one that is here, nothing is done on either side.
        let here = try cluster.keys(ofSlot: slot, on: source)[0]
        let set = ["EVAL", "return redis.call('SET', KEYS[1], 'z')", "2", here, "{a}:whole"]
        #expect(try source.connect().exchange(set).text.hasPrefix("TRYAGAIN"))
        let importing = try target.connect()
        try importing("ASKING")
        #expect(try importing.exchange(set).text.hasPrefix("TRYAGAIN"))
        try cluster.moveKeys(ofSlot: slot, to: target)
        try cluster.endMove(ofSlot: slot, to: target)
        #expect(try cluster.owner(ofSlot: slot) === target)
        #expect(try cluster.redis("GET", "{a}:2") == .text("y"))
    }

    @Test func sentinelsMakeAReplicaTheMaster() throws {
        let sentinels = try RedisSentinels()
        let first = try sentinels.master()
        first.kill()
        #expect(try blockingUntil { try sentinels.master() !== first })
    }
}

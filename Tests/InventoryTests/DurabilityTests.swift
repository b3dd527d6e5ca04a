import JSON
import TestSupport
import Testing

/// How safe a hold is before it is answered.
struct DurabilityTests {
    private func shop(_ redis: RedisServer) throws -> StockServer {
        let stock = try StockServer(redis)
        try stock.product("A")
        try stock.set("A", 20)
        return stock
    }

    @Test func withoutAReplicaItIsNotAsSafeAsAskedFor() throws {
        let stock = try shop(try RedisServer())
        let answer = try stock.reserve("A", 1, #","durability":"replicated""#)
        #expect(answer.status == 503 && answer.text.contains("may stand") && answer.header("Retry-After") != nil)
        #expect(try stock.levels("A") == [20, 1, 19])
    }

    @Test func aReplicaHasIt() async throws {
        let redis = try RedisServer(options: .init(listensOnTCP: true))
        let replica = try RedisServer(options: .init(arguments: ["--replicaof", "127.0.0.1", String(redis.port!)]))
        let stock = try shop(redis)
        let connection = try replica.connect()
        #expect(try await eventually { try connection("INFO", "replication").text.contains("master_link_status:up") })
        let answer = try stock.reserve("A", 1, #","durability":"replicated""#)
        #expect(answer.status == 201, "\(answer.text)")
        #expect(try connection("HGET", stock.prefix + "stock:{A}", "warehouse-1:reserved").text == "1")
        let body = #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":2}],"durability":"replicated"}"#
        #expect(try stock.send("POST", "/api/reservations", body).status == 201)
        #expect(try connection("HGET", stock.prefix + "stock:{A}", "warehouse-1:reserved").text == "3")
    }

    @Test func onDisk() throws {
        // The tests' own server keeps nothing on disk, and is older than the command that would wait for it.
        let stock = try shop(try RedisServer())
        let refused = try stock.reserve("A", 1, #","durability":"fsync""#)
        #expect([201, 422].contains(refused.status), "\(refused.text)")
        if refused.status == 422 { #expect(try stock.levels("A") == [20, 0, 20]) }
        let persistent = try RedisServer(options: .init(isPersistent: true))
        // Before 7.2 it has to be looked at, which deploy/redis/users.acl lets nobody do.
        try persistent.redis("ACL", "SETUSER", "server", "+config|get")
        let safe = try shop(persistent)
        #expect(try safe.reserve("A", 1, #","durability":"fsync""#).status == 201)
        #expect(try stock.reserve("A", 1, #","durability":"paper""#).json?["field"]?.text == "durability")
    }
}

import JSON
import TestSupport
import Testing

struct UnsealedBatchTests {
    /// Whoever made it died before the last of its jobs: nobody was told that there is such a batch.
    @Test func isDropped() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let connection = try redis.connect()
        let base = prefix + "jobs:{default}:"
        try connection("SADD", prefix + "jobs:queues", "default")
        try connection(
            "HSET", base + "batch:b", "state", "open", "name", "n", "total", "5", "open", "1", "enqueued", "1")
        try connection("ZADD", base + "unsealed", "1", "b")
        try connection(
            "HSET", base + "job:000000000001", "name", "j", "type", "simulated", "state", "held", "batch", "b")
        try connection("ZADD", base + "waiting", "1", "000000000001")
        try connection("ZADD", base + "batch:b:held", "1", "000000000001")
        let server = try JobServer(redis, prefix: prefix, works: false)
        func exists(_ key: String) throws -> Bool { try connection("EXISTS", base + key) == .integer(1) }
        #expect(try await eventually { try !exists("batch:b") })
        #expect(try !exists("job:000000000001") && !exists("batch:b:held") && !exists("unsealed"))
        #expect(try server.send("GET", "/api/batches/default-b").status != 200)
    }
}

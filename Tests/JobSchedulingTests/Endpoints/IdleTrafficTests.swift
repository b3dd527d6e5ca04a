import TestSupport
import Testing

/// What a replica asks of Redis when there is nothing to do, and how soon it hears of something.
struct IdleTrafficTests {
    @Test func manyQueuesAtRestCostOneCall() async throws {
        let redis = try RedisServer()
        let server = try JobServer(redis, works: false)
        for i in 0..<30 { try server.create(#"{"name":"a","type":"simulated","manual":true,"queue":"q\#(i)"}"#) }
        // A look at a queue reads the list of its types once. What new queues are due is over after some such looks.
        let looks = try calls(redis, "hkeys")
        _ = try await eventually { try self.calls(redis, "hkeys") >= looks + 60 }
        let before = (looks: try calls(redis, "hkeys"), scripts: try calls(redis, "evalsha"))
        #expect(try await eventually { try self.calls(redis, "hkeys") >= before.looks + 60 })
        let scripts = try calls(redis, "evalsha") - before.scripts
        let looked = try calls(redis, "hkeys") - before.looks
        #expect(scripts * 10 <= looked, "\(scripts) calls for \(looked) looks at a queue")
    }

    private func calls(_ redis: RedisServer, _ command: String) throws -> Int {
        let text = try redis.redis("INFO", "commandstats")
        guard let line = text.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix("cmdstat_\(command):") })
        else { return 0 }
        return line.split(separator: "=").dropFirst().first.flatMap { Int($0.prefix { $0 != "," }) } ?? 0
    }

    @Test func aNewQueuesSecondJobIsHeardOfAsSoonAsItsFirst() async throws {
        let server = try JobServer()
        var delaysMs: [Int] = []
        for i in 0..<5 {
            let body = #"{"name":"a","type":"simulated","config":{"durationMs":0},"queue":"q\#(i)"}"#
            try await server.awaits(try server.create(body), "completed")
            let second = try server.create(body)
            try await server.awaits(second, "completed")
            let job = try server.job(second)
            delaysMs.append((job["startedAt"]?.timeMs ?? .max) - (job["createdAt"]?.timeMs ?? 0))
        }
        // Without being told, a wait that goes on for 2 s does not hear of queues that came after its beginning.
        #expect(delaysMs.sorted()[2] < 1000, "\(delaysMs)")
    }
}

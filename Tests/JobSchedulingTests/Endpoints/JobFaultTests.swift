import JSON
import JobScheduling
import TestSupport
import Testing

/// Replicas and workers behind a network that does what it likes, and clients that ask again under the same key.
struct JobFaultTests {
    private static let keys = 60

    @Test func acceptedOnceAndDoneOnce() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let schedule = FaultSchedule(oneIn: 12, longestUs: 60_000)
        let proxies = try (0..<2).map { _ in try RedisFaultProxy(redis, schedule: schedule) }
        let servers = try proxies.map { proxy in
            try TestServer(
                redis: redis, prefix: prefix,
                services: [JobSchedulingService.definition(kinds: JobKindDefinition.standard)]
            ) {
                $0.redisURL = proxy.url
                $0.serviceSettings = ["work": "true", "work-grace": "0"]
            }
        }
        let direct = try JobServer(prefix: prefix, works: false)
        let ids = Shared<[String: Set<String>]>([:])
        let wrong = Journal<String>()
        let ask: @Sendable (String, TestServer) -> Bool = { key, server in
            let answer = try? server.request(
                "POST", "/api/jobs", headers: [("Idempotency-Key", key)],
                body: #"{"name":"\#(key)","type":"simulated","config":{"durationMs":5}}"#)
            guard let answer else { return false }
            if answer.status == 201, let id = answer.json?["id"]?.text {
                ids.withLock { _ = $0[key, default: []].insert(id) }
                return true
            }
            if answer.status != 503 && answer.status != 409 { wrong.add("\(answer.status) \(answer.text)") }
            return false
        }
        for proxy in proxies { proxy.begin() }
        await withTaskGroup(of: Void.self) { group in
            for client in 0..<3 {
                group.addTask {
                    for number in 0..<JobFaultTests.keys / 3 {
                        // Asked twice at least, and not for ever: while Redis is away the answer is a quick 503.
                        var accepted = 0
                        for attempt in 0..<30 where accepted < 2 {
                            accepted += ask("\(client)-\(number)", servers[(client + attempt) % 2]) ? 1 : 0
                        }
                    }
                }
            }
        }
        for proxy in proxies { proxy.calm() }
        // Now each client learns what became of what it asked for.
        for number in 0..<JobFaultTests.keys {
            let key = "\(number % 3)-\(number / 3)"
            #expect(await eventually { ask(key, servers[0]) }, "\(key) is never accepted; \(proxies)")
        }
        #expect(wrong.all.isEmpty, "\(wrong.all.prefix(3)); \(proxies)")
        #expect(proxies.contains { !$0.suffered.isEmpty })
        let accepted = ids.withLock { $0 }
        #expect(accepted.count == JobFaultTests.keys, "a key was never accepted; \(proxies)")
        #expect(accepted.allSatisfy { $0.value.count == 1 }, "a key has two jobs; \(accepted) \(proxies)")
        for id in accepted.values.flatMap({ $0 }) {
            try await direct.awaits(id, "completed")
            let ends = try direct.history(id).count { $0["status"]?.text == "completed" }
            #expect(ends == 1, "\(id) was completed \(ends) times; \(proxies)")
        }
        // A list walks from set to set: only what stands still is in it once.
        let listed = try direct.send("GET", "/api/jobs?limit=1000").json?.elements ?? []
        let told = Set(accepted.values.flatMap { $0 })
        let untold = listed.filter { !told.contains($0["id"]?.text ?? "") }
        #expect(untold.isEmpty, "jobs that nobody was told of: \(untold.map { $0.text() }); \(proxies)")
        #expect(listed.count == JobFaultTests.keys, "\(proxies)")
        // The queue counts what it accepted as done: each once, whoever asked again.
        let totals = try redis.redis("HGET", prefix + "jobs:{default}:totals", "completed")
        #expect(totals == String(JobFaultTests.keys), "\(proxies)")
    }
}

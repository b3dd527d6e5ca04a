import EventLoops
import JSON
import TestSupport
import Testing

extension Integration {
    /// A change of the rules reaches every replica.
    @Suite struct RuleChangeTests {
        private static func rule(limit: Int) -> String {
            "{\"name\":\"r\",\"strategy\":\"fixed_window\",\"limit\":\(limit),\"window\":\"1d\"}"
        }

        private static func limit(at server: TestServer) throws -> Int? {
            try server.check(#"{"identifier":"ann","peek":true}"#)["limit"]?.int
        }

        @Test func bindsElsewhereWithinASecond() throws {
            let redis = try RedisServer()
            let here = try TestServer(redis: redis)
            let there = try TestServer(redis: redis, prefix: here.prefix, loops: 2)
            try here.rule(RuleChangeTests.rule(limit: 10))
            #expect(try there.knows(rules: 1))
            for limit in 11...20 {
                // The news may be lost, or find nobody who listens.
                if limit % 3 == 0 { try redis.redis("CLIENT", "KILL", "TYPE", "pubsub") }
                let answer = try here.request("PUT", "/api/rate-limits/r", body: RuleChangeTests.rule(limit: limit))
                #expect(answer.status == 200)
                let startUs = MonotonicClock.nowUs()
                // Here it binds with the answer.
                #expect(try RuleChangeTests.limit(at: here) == limit)
                #expect(try blockingUntil { try RuleChangeTests.limit(at: there) == limit })
                #expect(MonotonicClock.nowUs() - startUs < 1_000_000)
            }
        }

        /// A change of which no news comes at all is found by asking.
        @Test func bindsWithoutNews() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(RuleChangeTests.rule(limit: 10))
            let keys = server.prefix + "ratelimit:{rules}:"
            let stored = try redis.redis("HGET", keys + "rules", "r")
            for limit in 11...13 {
                try redis.redis(
                    "HSET", keys + "rules", "r", stored.replacing("\"limit\":10", with: "\"limit\":\(limit)"))
                try redis.redis("INCR", keys + "revision")
                let startUs = MonotonicClock.nowUs()
                #expect(try blockingUntil { try RuleChangeTests.limit(at: server) == limit })
                #expect(MonotonicClock.nowUs() - startUs < 1_000_000)
            }
        }

        @Test func subscribersSeeEachVersionOnceInOrder() async throws {
            let redis = try RedisServer()
            let servers = try RuleChangeTests.pair(redis)
            let early = try servers[1].connect()
            let head = try early.subscribe("/api/rate-limits/events")
            #expect(head.header("Content-Type") == "text/event-stream")
            let snapshot = try early.nextEvent()
            #expect(snapshot.name == "snapshot")
            #expect(snapshot.json?["rules"]?.elements.isEmpty == true)

            try servers[0].rule(RuleChangeTests.rule(limit: 1))
            for limit in 2...20 {
                let server = servers[limit % 2]
                let answer = try server.request("PUT", "/api/rate-limits/r", body: RuleChangeTests.rule(limit: limit))
                #expect(answer.status == 200)
            }
            #expect(try servers[0].request("DELETE", "/api/rate-limits/r").status == 204)

            var events: [ServerSentEvent] = []
            for _ in 1...21 { events.append(try early.nextEvent()) }
            #expect(events.allSatisfy { $0.name == "change" })
            #expect(events.map { $0.json?["revision"]?.int } == (1...21).map { $0 })
            let versions = events.map { $0.json?["changes"]?.elements.first?["rule"]?["version"]?.int }
            #expect(versions == (1...20).map { $0 } + [nil])
            #expect(events.last?.json?["changes"]?.elements.first?["op"]?.string == "delete")

            // One who comes late begins with what is, and hears what follows.
            let late = try servers[0].connect()
            _ = try late.subscribe("/api/rate-limits/events")
            let start = try late.nextEvent()
            #expect(start.name == "snapshot" && start.json?["revision"]?.int == 21)
            try servers[1].rule(RuleChangeTests.rule(limit: 5))
            #expect(try late.nextEvent().json?["revision"]?.int == 22)
            #expect(try early.nextEvent().json?["revision"]?.int == 22)

            // One who comes back goes on where it was.
            let back = try servers[1].connect()
            _ = try back.subscribe("/api/rate-limits/events", headers: [("Last-Event-ID", events[4].id)])
            var missed: [ServerSentEvent] = []
            for _ in 0..<17 { missed.append(try back.nextEvent()) }
            #expect(missed.map(\.name) == Array(repeating: "change", count: 17))
            #expect(missed.map { $0.json?["revision"]?.int } == (6...22).map { $0 })
            #expect(Array(missed.prefix(16)) == Array(events.suffix(16)))
        }

        /// A stream that no longer reaches back to what a subscriber saw last: it begins anew with a snapshot.
        @Test func aSubscriberThatWasAwayTooLongGetsASnapshot() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(RuleChangeTests.rule(limit: 1))
            let connection = try server.connect()
            _ = try connection.subscribe("/api/rate-limits/events", headers: [("Last-Event-ID", "1-1")])
            #expect(try connection.nextEvent().name == "snapshot")
            let answer = try server.request("GET", "/api/rate-limits/events", headers: [("Last-Event-ID", "x")])
            #expect(answer.status == 400 && answer["field"]?.string == "Last-Event-ID")
        }

        /// Both change the same rules at once: every change is there, each under a revision of its own, and none is made
        /// on what was not so any more.
        @Test func concurrentChangesAreAllMade() async throws {
            let redis = try RedisServer()
            let servers = try RuleChangeTests.pair(redis)
            let unlike = await RuleChangeTests.atOnce(servers, "POST", "") {
                "{\"name\":\"r\($0)\",\"strategy\":\"fixed_window\",\"limit\":1,\"window\":\"1d\"}"
            }
            #expect(unlike == Array(repeating: 201, count: 20))
            #expect(try servers[0].knows(rules: 20))
            #expect(try redis.redis("GET", "\(servers[0].prefix)ratelimit:{rules}:revision") == "20")
            let alike = await RuleChangeTests.atOnce(servers, "POST", "") { _ in RuleChangeTests.rule(limit: 1) }
            #expect(alike.sorted() == [201] + Array(repeating: 409, count: 19))
            // All from version 1: one of them may.
            let changes = await RuleChangeTests.atOnce(servers, "PUT", "/r") { RuleChangeTests.rule(limit: $0 + 2) }
            #expect(changes.sorted() == [200] + Array(repeating: 412, count: 19))
        }

        private static func atOnce(
            _ servers: [TestServer], _ method: String, _ path: String, _ body: @escaping @Sendable (Int) -> String
        ) async -> [Int] {
            let statuses = Journal<Int>()
            for i in 0..<20 {
                // Threads of their own, since each blocks.
                Threads.start("changer") {
                    let answer = try? servers[i % 2].request(
                        method, "/api/rate-limits" + path, headers: [("If-Match", "\"1\"")], body: body(i))
                    statuses.add(answer?.status ?? 0)
                }
            }
            _ = await eventually { statuses.count == 20 }
            return statuses.all
        }

        private static func pair(_ redis: RedisServer) throws -> [TestServer] {
            let first = try TestServer(redis: redis)
            return [first, try TestServer(redis: redis, prefix: first.prefix)]
        }
    }
}

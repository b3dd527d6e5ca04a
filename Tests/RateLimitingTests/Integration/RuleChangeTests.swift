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

        /// With its own news, and with the news lost: then polling finds it.
        @Test(arguments: [false, true]) func bindsElsewhereWithinASecond(_ losesNews: Bool) async throws {
            let redis = try RedisServer()
            let here = try TestServer(redis: redis)
            let there = try TestServer(redis: redis, prefix: here.prefix, loops: 2)
            try here.rule(RuleChangeTests.rule(limit: 10))
            #expect(try there.knows(rules: 1))
            for limit in 11...14 {
                if losesNews { try redis.redis("CLIENT", "KILL", "TYPE", "pubsub") }
                let answer = try here.request("PUT", "/api/rate-limits/r", body: RuleChangeTests.rule(limit: limit))
                #expect(answer.status == 200)
                let startUs = MonotonicClock.nowUs()
                // Here it binds with the answer.
                #expect(try RuleChangeTests.limit(at: here) == limit)
                #expect(try blockingUntil { try RuleChangeTests.limit(at: there) == limit })
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

        /// Both change the same rules at once: every change is there, each under a revision of its own.
        @Test func concurrentChangesAreAllMade() async throws {
            let redis = try RedisServer()
            let servers = try RuleChangeTests.pair(redis)
            let statuses = Journal<Int>()
            await withTaskGroup(of: Void.self) { group in
                for i in 0..<20 {
                    group.addTask {
                        let body =
                            "{\"name\":\"r\(i)\",\"strategy\":\"fixed_window\",\"limit\":1,\"window\":\"1d\"}"
                        statuses.add(
                            (try? servers[i % 2].request("POST", "/api/rate-limits", body: body).status) ?? 0)
                    }
                }
            }
            #expect(statuses.all == Array(repeating: 201, count: 20))
            #expect(try servers[0].knows(rules: 20))
            #expect(try redis.redis("GET", "\(servers[0].prefix)ratelimit:{rules}:revision") == "20")
        }

        private static func pair(_ redis: RedisServer) throws -> [TestServer] {
            let first = try TestServer(redis: redis)
            return [first, try TestServer(redis: redis, prefix: first.prefix)]
        }
    }
}

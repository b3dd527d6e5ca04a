import EventLoops
import Glibc
import TestSupport
import Testing

/// Replicas that come and go behind nginx, all on one Redis.
extension Fleet {
    @Suite(.serialized) struct RollingTests {
        private static let rule = #"{"name":"pages","strategy":"token_bucket","limit":100,"window":"7d"}"#

        @Test func theLimitOfTwoReplicasIsExact() async throws {
            let redis = try RedisServer()
            let replicas = [try await Replica.serve(redis), try await Replica.serve(redis, "--loops", "2")]
            try replicas[0].rule(RollingTests.rule)
            try await bind(on: replicas[1])
            let site = try await Site(replicas)
            let statuses = try await site.load("/page", clients: 8, requests: 40)
            #expect(statuses.count { $0 == 200 } == 100)
            #expect(statuses.count { $0 == 429 } == 220)
            for replica in replicas { #expect(try decisions(replica) > 0, "nginx asked only one of them") }
        }

        /// A replica is told to end while clients ask: each of them gets its answer.
        @Test func noClientNoticesThatAReplicaEnds() async throws {
            let redis = try RedisServer()
            let first = try await Replica.serve(redis, "--drain-delay", "200")
            let second = try await Replica.serve(redis)
            try first.rule(#"{"name":"pages","strategy":"token_bucket","limit":100000,"window":"7d"}"#)
            let site = try await Site([first, second])
            async let statuses = site.load("/page", clients: 8, requests: 100)
            #expect(try await eventually { try decisions(first) > 100 })
            #expect(try await first.program.terminate() == 0)
            #expect(try await statuses.allSatisfy { $0 == 200 })
        }

        /// A replica is killed while clients ask: nobody sees an error, nothing that was taken is given back.
        @Test func aKilledReplicaLosesNothing() async throws {
            let redis = try RedisServer()
            let first = try await Replica.serve(redis)
            let second = try await Replica.serve(redis)
            try first.rule(#"{"name":"pages","strategy":"token_bucket","limit":500,"window":"7d"}"#)
            try await bind(on: second)
            let site = try await Site([first, second])
            async let statuses = site.load("/page", clients: 8, requests: 100)
            #expect(try await eventually { try decisions(first) > 50 })
            first.program.process.kill()
            let seen = try await statuses
            #expect(seen.allSatisfy { $0 == 200 || $0 == 429 }, "\(Set(seen))")
            // A request whose replica died may have been counted and is asked again: eight at most were under way.
            let allowed = seen.count { $0 == 200 }
            #expect((492...500).contains(allowed), "\(allowed) allowed")
            // A replica that comes back at its place knows what was taken.
            let again = try await Replica.serve(redis, "--port", String(first.port))
            #expect(again.url == first.url)
            #expect(try again.request("GET", "/api/rate-limits/authorize").status == 429)
        }

        // MARK: Ending one replica

        @Test func whatIsInFlightIsAnsweredBeforeTheEnd() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, budgetMs: 10_000)
            try replica.rule(RollingTests.rule)
            let asked = try metric(replica, "quartermaster_http_requests_total")
            redis.pause()
            let connections = try (0..<20).map { _ in try replica.connect() }
            for connection in connections { try connection.send([checkRequest]) }
            // Two of them pipeline a second request behind the first.
            for connection in connections.prefix(2) { try connection.send([checkRequest]) }
            #expect(try await eventually { try metric(replica, "quartermaster_http_requests_total") >= asked + 20 })
            replica.program.process.signal(SIGTERM)
            #expect(await eventually { replica.program.errors.contains("stopping") })
            redis.resume()
            for connection in connections {
                let answer = try connection.receive()
                #expect(answer.status == 200)
                #expect(answer.json?["reason"] == .string("allowed"))
            }
            #expect(try await replica.program.exitCode() == 0)
            #expect(throws: (any Error).self) { try replica.request("GET", "/healthz") }
        }

        @Test func duringTheDrainDelayItSaysThatItEndsAndStillAnswers() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, "--drain-delay", "3000")
            try replica.rule(RollingTests.rule)
            let kept = try replica.connect()
            let ready = try kept.request("GET", "/readyz")
            #expect(ready.status == 200)
            #expect(ready.header("Connection") == nil)
            replica.program.process.signal(SIGTERM)
            let told = MonotonicClock.nowUs()
            #expect(try await eventually { try replica.request("GET", "/readyz").status == 503 })
            #expect(try replica.request("GET", "/readyz").header("Retry-After") != nil)
            #expect(try replica.request("GET", "/healthz").status == 200)
            let answer = try kept.request("POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#)
            #expect(answer.status == 200)
            #expect(answer.header("Connection") == "close")
            #expect(try await replica.program.exitCode() == 0)
            #expect(MonotonicClock.nowUs() - told >= 3_000_000)
        }

        /// Neither a request whose answer does not come nor a Redis that hangs holds the process beyond its grace: the check,
        /// which would be answered when its budget is over, is not, and what was to be written down is in the log.
        @Test func theGraceIsABound() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, "--drain-grace", "300", budgetMs: 10_000)
            try replica.rule(RollingTests.rule)
            redis.pause()
            defer { redis.resume() }
            let connection = try replica.connect()
            try connection.send([checkRequest])
            // Refused at once, and written down: in Redis, which does not answer.
            #expect(try replica.request("PUT", "/api/rate-limits/pages", body: "{}").status == 400)
            #expect(try await replica.program.terminate() == 0)
            #expect(throws: (any Error).self) { try connection.receive() }
            let lines = replica.program.errors.split(separator: "\n").filter { $0.contains("audit entry not written") }
            #expect(lines.contains { $0.contains("PUT") }, "\(replica.program.errors)")
        }

        @Test(arguments: [SIGTERM, SIGINT])
        func bothSignalsEndItCleanly(_ signal: Int32) async throws {
            let redis = try RedisServer.shared
            let replica = try await Replica.serve(redis, "--loops", "2", "--prefix", redis.prefix())
            replica.program.process.signal(signal)
            #expect(try await replica.program.exitCode() == 0)
            #expect(Replica.url(replica.program.output) == replica.url, "more than its line on standard output")
        }

        // MARK: Inside

        private let checkRequest = HTTPConnection.encode(
            "POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#)

        /// Waits until the replica decides by the rule.
        private func bind(on replica: Replica) async throws {
            #expect(try await eventually { try replica.request("GET", "/api/rate-limits").text.contains("\"pages\"") })
        }

        private func decisions(_ replica: Replica) throws -> Int {
            try metric(replica, "quartermaster_ratelimit_decisions_total")
        }

        private func metric(_ replica: Replica, _ name: String) throws -> Int {
            let text = try replica.request("GET", "/metrics").text
            let lines = text.split(separator: "\n").filter { $0.hasPrefix(name) }
            return lines.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
        }
    }
}

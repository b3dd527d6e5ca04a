import EventLoops
import TestSupport
import Testing

extension Integration {
    /// Redis stops answering, or is gone: every check is answered within its budget, by its rule's failure mode.
    @Suite struct StoreFailureTests {
        private static let budgetMs = 50

        private func server(_ redis: RedisServer) throws -> TestServer {
            let server = try TestServer(redis: redis) { $0.checkBudgetMs = StoreFailureTests.budgetMs }
            for mode in ["allow", "deny", "local"] {
                try server.rule(
                    "{\"name\":\"\(mode)\",\"strategy\":\"fixed_window\",\"limit\":5,\"window\":\"1d\","
                        + "\"match\":{\"endpoint\":\"/\(mode)\"},\"onStoreFailure\":\"\(mode)\"}")
            }
            return server
        }

        private func check(_ connection: HTTPConnection, _ mode: String, _ identifier: String) throws -> HTTPAnswer {
            try connection.request(
                "POST", "/api/rate-limits/check", body: "{\"identifier\":\"\(identifier)\",\"endpoint\":\"/\(mode)\"}")
        }

        /// Waits until decisions are made by Redis again; how long it took.
        private func recovery(_ server: TestServer) throws -> Int64 {
            let connection = try server.connect()
            let startUs = MonotonicClock.nowUs()
            var number = 0
            let isBack = try blockingUntil {
                number += 1
                return try check(connection, "deny", "probe\(number)").reason == "allowed"
            }
            #expect(isBack)
            return MonotonicClock.nowUs() - startUs
        }

        private func expectFailureModes(_ server: TestServer) throws {
            let connection = try server.connect()
            var longestUs: Int64 = 0
            func timed(_ mode: String) throws -> HTTPAnswer {
                let startUs = MonotonicClock.nowUs()
                defer { longestUs = max(longestUs, MonotonicClock.nowUs() - startUs) }
                return try check(connection, mode, "ann")
            }
            for _ in 0..<10 {
                let answer = try timed("allow")
                #expect(answer.status == 200 && answer.reason == "store-unavailable", "\(answer.text)")
            }
            for _ in 0..<10 {
                let answer = try timed("deny")
                #expect(answer.status == 503 && answer.reason == "store-unavailable", "\(answer.text)")
                #expect(answer.header("Retry-After") == "1")
                #expect(answer.header("Content-Type") == "application/problem+json")
            }
            let local = try (0..<8).map { _ in try timed("local").status }
            #expect(local == Array(repeating: 200, count: 5) + Array(repeating: 429, count: 3))
            // The budget, and what a busy machine adds.
            #expect(longestUs < Int64(StoreFailureTests.budgetMs) * 1000 + 500_000)
            // Other routes tell, and do not hang.
            #expect(try server.request("GET", "/healthz").status == 200)
            #expect(
                try server.request("POST", "/api/rate-limits", body: #"{"name":"x","action":"deny"}"#).status == 503)
            let authorize = try server.request(
                "GET", "/api/rate-limits/authorize?deny=403",
                headers: [("X-User-Id", "ann"), ("X-Original-URI", "/deny")])
            #expect(authorize.status == 403 && authorize.header("X-RateLimit-Reason") == "store-unavailable")
        }

        @Test func pausedAndResumed() async throws {
            let redis = try RedisServer()
            let server = try server(redis)
            _ = try recovery(server)
            for _ in 0..<2 {
                redis.pause()
                try expectFailureModes(server)
                redis.resume()
                #expect(try recovery(server) < 2_000_000)
                #expect(try server.request("GET", "/readyz?redis").status == 200)
                // A fresh local share for the next round: the old one comes back over the day.
                _ = try server.request("PUT", "/api/rate-limits/local", body: Self.freshLocal())
            }
        }

        private static func freshLocal() -> String {
            #"{"name":"local","strategy":"sliding_window","limit":5,"window":"1d","#
                + #""match":{"endpoint":"/local"},"onStoreFailure":"local"}"#
        }

        @Test func killedAndRestarted() async throws {
            let redis = try RedisServer(options: .init(isPersistent: true))
            let server = try server(redis)
            #expect(try check(server.connect(), "allow", "bob").remaining == 4)
            redis.kill()
            #expect(await eventually { (try? server.request("GET", "/readyz?redis").status) == 503 })
            try expectFailureModes(server)
            try redis.restart()
            #expect(try recovery(server) < 2_000_000)
            // What was used before is still used.
            #expect(try check(server.connect(), "allow", "bob").remaining == 3)
            // And changes of rules are heard of again.
            #expect(try server.request("DELETE", "/api/rate-limits/local").status == 204)
        }
    }
}

import Glibc
import JSON
import TestSupport
import Testing

extension Integration {
    /// Redis at its memory limit: what grows is refused or goes by its failure mode, what gives back goes on.
    @Suite struct FullStoreTests {
        private static func rule(_ name: String, _ members: String) -> String {
            "{\"name\":\"\(name)\",\"match\":{\"endpoint\":\"/\(name)\"},\(members)}"
        }

        private static let rules = [
            rule("open", #""strategy":"token_bucket","limit":5,"window":"1d""#),
            rule("strict", #""strategy":"sliding_window","limit":5,"window":"1d","onStoreFailure":"deny""#),
            rule("used", #""strategy":"fixed_window","limit":2,"window":"1d","onStoreFailure":"deny""#),
            rule("places", #""strategy":"concurrency","limit":2,"maxLeaseMs":"1h""#),
            rule("spare", #""strategy":"concurrency","limit":2,"maxLeaseMs":"1h""#),
            rule("old", #""action":"deny""#),
        ]

        private static func body(_ endpoint: String, _ more: String = "") -> String {
            "{\"identifier\":\"ann\",\"endpoint\":\"\(endpoint)\"\(more)}"
        }

        @Test func whatGivesBackGoesOn() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            for rule in Self.rules { try server.rule(rule) }
            let connection = try server.connect()
            func post(_ target: String, _ body: String) throws -> HTTPAnswer {
                try connection.request("POST", "/api/rate-limits" + target, body: body)
            }
            #expect(try post("/check", Self.body("/open", #","cost":3"#)).remaining == 2)
            #expect(try post("/check", Self.body("/strict", #","cost":2"#)).remaining == 3)
            #expect(try post("/check", Self.body("/used", #","cost":2"#)).remaining == 0)
            let receipt = try #require(
                try post("/check", Self.body("/strict", #","receipt":true"#))["receipt"]?.string)
            let leases = try (0..<2).map { _ in
                try #require(try post("/leases", Self.body("/places"))["leaseId"]?.string)
            }

            try redis.redis("CONFIG", "SET", "maxmemory", "1000000")
            let fresh = try post("", Self.rule("new", #""strategy":"fixed_window","limit":1,"window":"1d""#))
            #expect(fresh.status == 503 && fresh["type"]?.string == "/problems/store-full", "\(fresh.text)")
            #expect(fresh.header("Retry-After") == "1")
            for _ in 0..<5 {
                let open = try post("/check", Self.body("/open"))
                #expect(open.status == 200 && open.reason == "store-unavailable", "\(open.text)")
                let strict = try post("/check", Self.body("/strict"))
                #expect(strict.status == 503 && strict.reason == "store-unavailable", "\(strict.text)")
                #expect(try post("/check", Self.body("/spare")).reason == "store-unavailable")
            }
            // What needs no memory is still decided by Redis, however many others were refused.
            let peek = try post("/check", Self.body("/open", #","peek":true"#))
            #expect(peek.reason == "allowed" && peek.remaining == 2, "\(peek.text)")
            let refused = try post("/check", Self.body("/used"))
            #expect(refused.status == 429 && refused.reason == "limit-exceeded", "\(refused.text)")

            let refund = try post("/refund", Self.body("/open", #","amount":2"#))
            #expect(refund.status == 200 && refund.text.contains(#""remaining":4"#), "\(refund.text)")
            // The marks that they are made once are let through with them.
            for _ in 0..<2 {
                let back = try post("/refund", Self.body("/strict", ",\"receipt\":\"\(receipt)\""))
                #expect(back.text.contains(#""remaining":3"#), "\(back.text)")
                let keyed = try connection.request(
                    "POST", "/api/rate-limits/refund", headers: [("Idempotency-Key", "k")],
                    body: Self.body("/used", #","amount":1"#))
                #expect(keyed.text.contains(#""remaining":1"#), "\(keyed.text)")
            }
            #expect(try post("/reset", Self.body("/strict")).status == 200)
            #expect(try connection.request("PUT", "/api/rate-limits/leases/\(leases[0])").status == 200)
            #expect(try connection.request("DELETE", "/api/rate-limits/leases/\(leases[1])").status == 204)
            #expect(try connection.request("DELETE", "/api/rate-limits/old").status == 204)

            try redis.redis("CONFIG", "SET", "maxmemory", "0")
            #expect(try post("/check", Self.body("/open")).remaining == 3)
            #expect(try post("/check", Self.body("/strict")).remaining == 4)
            #expect(try post("/check", Self.body("/places", #","peek":true"#)).remaining == 1)
            try server.rule(Self.rule("new", #""strategy":"fixed_window","limit":1,"window":"1d""#))
        }
    }
}

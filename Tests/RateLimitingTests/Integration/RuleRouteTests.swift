import JSON
import TestSupport
import Testing

extension Integration {
    /// The routes around decisions: rules, refunds, resets, leases.
    @Suite struct RuleRouteTests {
        private static let rule = #"{"name":"r","strategy":"token_bucket","limit":10,"window":"1d"}"#

        /// The same key and body: the same answer, and one rule; another body: refused.
        @Test func idempotencyKeys() async throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            let other = try TestServer(redis: redis, prefix: server.prefix)
            func create(_ server: TestServer, _ key: String, _ body: String) throws -> HTTPAnswer {
                try server.request("POST", "/api/rate-limits", headers: [("Idempotency-Key", key)], body: body)
            }
            let first = try create(server, "k1", Self.rule)
            #expect(first.status == 201)
            for replica in [server, other] {
                let again = try create(replica, "k1", Self.rule)
                #expect(again.status == 201 && again.text == first.text)
                let another = try create(replica, "k1", Self.rule.replacing("10", with: "11"))
                #expect(another.status == 422 && another["field"]?.string == "Idempotency-Key")
            }
            // Without the key the name is taken.
            #expect(try create(server, "k2", Self.rule).status == 409)
            // A refusal had no effect, so it is judged anew.
            #expect(try server.request("DELETE", "/api/rate-limits/r").status == 204)
            #expect(try create(server, "k2", Self.rule).status == 201)
            // Many at once under one key: one effect, one answer.
            let answers = Journal<String>()
            let body = Self.rule.replacing("\"r\"", with: "\"s\"")
            await withTaskGroup(of: Void.self) { group in
                for i in 0..<10 {
                    group.addTask {
                        let answer = try? create(i % 2 == 0 ? server : other, "k3", body)
                        answers.add("\(answer?.status ?? 0) \(answer?.text ?? "")")
                    }
                }
            }
            #expect(Set(answers.all).count == 1 && answers.all.first?.hasPrefix("201 ") == true)
            #expect(try server.request("GET", "/api/rate-limits").json?.elements.count == 2)
        }

        @Test func versionsAndPreconditions() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.rule)
            let connection = try server.connect()
            let body = Self.rule.replacing("10", with: "12")
            func put(_ match: String) throws -> HTTPAnswer {
                try connection.request("PUT", "/api/rate-limits/r", headers: [("If-Match", match)], body: body)
            }
            #expect(try connection.request("GET", "/api/rate-limits/r").header("ETag") == "\"1\"")
            let changed = try put("\"1\"")
            #expect(changed.status == 200 && changed.header("ETag") == "\"2\"" && changed["limit"]?.int == 12)
            #expect(try put("\"1\"").status == 412)
            #expect(try put("\"1\", \"2\"").status == 200)
            #expect(try put("*").status == 200)
            #expect(try put("2").status == 400)
            let stale = try connection.request("DELETE", "/api/rate-limits/r", headers: [("If-Match", "\"2\"")])
            #expect(stale.status == 412)
            let gone = try connection.request("DELETE", "/api/rate-limits/r", headers: [("If-Match", "\"4\"")])
            #expect(gone.status == 204)
            #expect(try connection.request("GET", "/api/rate-limits/r").status == 404)
            #expect(try put("*").status == 404)
        }

        @Test func refundsAndResets() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis, loops: 2)
            try server.rule(Self.rule)
            let connection = try server.connect()
            func post(_ route: String, _ body: String) throws -> HTTPAnswer {
                try connection.request("POST", "/api/rate-limits/" + route, body: body)
            }
            func refund(_ amount: Int) throws -> JSONValue? {
                try post("refund", "{\"identifier\":\"ann\",\"amount\":\(amount)}")["results"]?.elements.first
            }
            // On a key that was never counted there is nothing to give back, and none is made.
            let nothing = try refund(3)
            #expect(nothing?["result"]?.string == "nothing")
            #expect(try redis.redis("KEYS", "*{id:ann}*") == "")
            #expect(try post("check", #"{"identifier":"ann","cost":10}"#).remaining == 0)
            #expect(try post("check", #"{"identifier":"ann"}"#).status == 429)
            #expect(try refund(3)?["remaining"]?.int == 3)
            // The refusal that was remembered is forgotten, on every loop.
            for _ in 0..<4 {
                let answer = try server.check(#"{"identifier":"ann","peek":true}"#)
                #expect(answer.remaining == 3 && answer.status == 200)
            }
            #expect(try refund(100)?["remaining"]?.int == 10)
            // A receipt gives back exactly its own cost.
            let decision = try post("check", #"{"identifier":"ann","cost":4,"receipt":true}"#)
            let receipt = try #require(decision["receipt"]?.string)
            let back = try post("refund", "{\"identifier\":\"ann\",\"receipt\":\"\(receipt)\"}")
            #expect(back["results"]?.elements.first?["remaining"]?.int == 10)
            #expect(try post("refund", #"{"identifier":"ann","receipt":"x"}"#)["field"]?.string == "receipt")
            #expect(try post("refund", #"{"identifier":"ann","rule":"none"}"#).status == 422)
            #expect(try post("check", #"{"identifier":"ann","cost":9}"#).remaining == 1)
            #expect(try post("reset", #"{"identifier":"ann"}"#).status == 200)
            // What is left is only that the receipt was given back.
            let keys = try redis.redis("KEYS", "*{id:ann}*").split(separator: "\n")
            #expect(keys.count == 1 && keys.allSatisfy { $0.contains(":refunded:") })
            #expect(try post("check", #"{"identifier":"ann"}"#).remaining == 9)
        }

        @Test func leases() throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            let other = try TestServer(redis: redis, prefix: server.prefix)
            try server.rule(
                #"{"name":"c","strategy":"concurrency","limit":2,"maxLeaseMs":60000,"match":{"endpoint":"/up"}}"#)
            #expect(try other.knows(rules: 1))
            let connection = try server.connect()
            func take() throws -> HTTPAnswer {
                try connection.request(
                    "POST", "/api/rate-limits/leases", body: #"{"identifier":"ann:{1}","endpoint":"/up"}"#)
            }
            let leases = try (0..<2).map { _ in
                let answer = try take()
                #expect(answer.status == 201)
                return try #require(answer["leaseId"]?.string)
            }
            #expect(Set(leases).count == 2)
            #expect(try take().status == 429)
            // Any replica keeps and releases it.
            let kept = try other.request("PUT", "/api/rate-limits/leases/\(leases[0])")
            #expect(kept.status == 200 && kept["expiresAt"]?.string?.hasSuffix("Z") == true)
            #expect(try other.request("DELETE", "/api/rate-limits/leases/\(leases[0])").status == 204)
            #expect(try other.request("DELETE", "/api/rate-limits/leases/\(leases[0])").status == 404)
            #expect(try other.request("PUT", "/api/rate-limits/leases/\(leases[0])").status == 404)
            #expect(try take().status == 201)
            #expect(try take().status == 429)
            #expect(try server.request("DELETE", "/api/rate-limits/leases/nonsense").status == 404)
            // What only counts has no leases, and leases cannot be refunded.
            try server.rule(
                #"{"name":"d","strategy":"fixed_window","limit":2,"window":"1d","match":{"endpoint":"/x"}}"#)
            let none = try server.request(
                "POST", "/api/rate-limits/leases", body: #"{"identifier":"a","endpoint":"/x"}"#)
            #expect(none.status == 422)
            let refund = try server.request(
                "POST", "/api/rate-limits/refund", body: #"{"identifier":"ann:{1}","endpoint":"/up"}"#)
            #expect(refund.status == 422)
        }

        /// A holder that is silent loses its place.
        @Test func leasesExpire() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(#"{"name":"c","strategy":"concurrency","limit":1,"maxLeaseMs":300}"#)
            let body = #"{"identifier":"ann"}"#
            #expect(try server.request("POST", "/api/rate-limits/leases", body: body).status == 201)
            #expect(try server.request("POST", "/api/rate-limits/leases", body: body).status == 429)
            #expect(
                try blockingUntil { try server.request("POST", "/api/rate-limits/leases", body: body).status == 201 })
        }

        @Test func listsInPages() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            for i in 0..<5 { try server.rule(Self.rule.replacing("\"r\"", with: "\"r\(i)\"")) }
            let connection = try server.connect()
            var target = "/api/rate-limits?limit=2"
            var names: [String] = []
            for _ in 0..<3 {
                let page = try connection.request("GET", target)
                names += page.json?.elements.compactMap { $0["name"]?.string } ?? []
                guard let link = page.header("Link") else { break }
                target = String(link.dropFirst().prefix { $0 != ">" })
            }
            #expect(names == ["r0", "r1", "r2", "r3", "r4"])
            #expect(try connection.request("GET", "/api/rate-limits?limit=0")["field"]?.string == "limit")
            #expect(try connection.request("GET", "/api/rate-limits?cursor=none")["field"]?.string == "cursor")
        }

        /// A rule of our own group limits our own API, and nothing else.
        @Test func theMiddleware() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"own","strategy":"fixed_window","limit":3,"window":"365d","group":"quartermaster","per":["ip"],"match":{"endpoint":"/api/rate-limits/status"}}"#
            )
            let connection = try server.connect()
            let statuses = try (0..<5).map { _ in
                try connection.request("GET", "/api/rate-limits/status?identifier=ann").status
            }
            #expect(statuses == [200, 200, 200, 429, 429])
            #expect(try connection.request("GET", "/healthz").status == 200)
            #expect(
                try connection.request("POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#).reason
                    == "no-rule")
        }
    }
}

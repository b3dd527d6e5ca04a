import Services
import TestSupport
import Testing

extension Integration {
    /// Limits on our own API: the rules of the group `quartermaster`.
    @Suite struct OwnAPITests {
        private static let all = #"{"name":"none","group":"quartermaster","action":"deny"}"#

        /// Whoever administers the rules can take back any of them, one that denies everything to everybody as well.
        @Test func anAdministratorIsNeverLockedOut() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.all)
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 429)
            #expect(try server.request("GET", "/api/rate-limits/status?identifier=ann").status == 429)
            #expect(try server.request("GET", "/api/rate-limits").json?.elements.count == 1)
            #expect(try server.request("GET", "/api/rate-limits/none").status == 200)
            let replaced = #"{"name":"none","group":"quartermaster","action":"deny","enabled":false}"#
            #expect(try server.request("PUT", "/api/rate-limits/none", body: replaced).status == 200)
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 200)
            try server.rule(#"{"name":"again","group":"quartermaster","action":"deny"}"#)
            #expect(try server.request("DELETE", "/api/rate-limits/rules/again").status == 204)
            try server.rule(#"{"name":"once more","group":"quartermaster","action":"deny"}"#)
            #expect(try server.request("POST", "/api/rate-limits/apply?prune=true", body: "[]").status == 200)
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 200)
        }

        /// Who only reads is held to the rules, also where an administrator is not.
        @Test func othersAreNotExempt() throws {
            // `t` and `a` by SHA-256.
            let tokens = try Tokens(
                file: """
                    reader read e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8
                    ops admin ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb

                    """)
            let server = try TestServer(redis: try RedisServer.shared, tokens: tokens)
            func list(_ token: String) throws -> Int {
                try server.request("GET", "/api/rate-limits", headers: [("Authorization", "Bearer " + token)]).status
            }
            let made = try server.request(
                "POST", "/api/rate-limits", headers: [("Authorization", "Bearer a")], body: Self.all)
            #expect(made.status == 201, "\(made.text)")
            #expect(try list("a") == 200 && list("t") == 429 && list("x") == 429)
        }

        /// A refusal of a call is a plain problem: no decision about what the call asks for.
        @Test func aRefusalIsNoDecision() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"own","group":"quartermaster","strategy":"fixed_window","limit":1,"window":"1d"}"#)
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 200)
            let refused = try server.check(#"{"identifier":"ann"}"#)
            #expect(refused.status == 429 && refused.header("Content-Type") == "application/problem+json")
            #expect(refused["type"]?.string == "/problems/too-many-requests", "\(refused.text)")
            #expect(refused["allowed"] == nil && refused["policies"] == nil)
            #expect(refused.header("RateLimit") == nil)
            #expect(refused.header("Retry-After").flatMap { Int($0) }.map { (1...86_400).contains($0) } == true)
            #expect(refused["detail"]?.string?.contains("own") == true)
        }

        /// nginx knows no 429 of an `auth_request` and would answer 500.
        @Test(arguments: [("?deny=403", 403), ("/envoy;deny=401/x", 401), ("", 429), ("?deny=999", 429)])
        func authorizeRefusesInItsProxysWay(_ said: String, _ status: Int) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.all)
            let answer = try server.request("GET", "/api/rate-limits/authorize" + said)
            #expect(answer.status == status && answer["allowed"] == nil, "\(answer.text)")
        }

        /// Fields of a client's own do not make another client of it, from a trusted peer neither.
        @Test func madeUpFieldsAreNoClients() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"own","group":"quartermaster","strategy":"fixed_window","limit":2,"window":"1d"}"#)
            let statuses = try (0..<4).map { i in
                let headers = [("X-API-Key", "k\(i)"), ("X-User-Id", "u\(i)"), ("X-Tier", "t\(i)")]
                return try server.request("GET", "/api/rate-limits/status?identifier=a", headers: headers).status
            }
            #expect(statuses == [200, 200, 429, 429])
        }

        @Test func concurrencyIsNoLimitForOurOwnAPI() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let rule = #"{"name":"own","group":"quartermaster","strategy":"concurrency","limit":1,"maxLeaseMs":"1h"}"#
            let answer = try server.request("POST", "/api/rate-limits", body: rule)
            #expect(answer.status == 400 && answer["field"]?.string == "strategy", "\(answer.text)")
        }

        /// Rules whose names are also routes of ours.
        @Test(arguments: ["authorize", "status", "events", "check", "apply", "rules", "leases"])
        func aRuleMayBeNamedLikeARoute(_ name: String) throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            let rule = try server.rule(
                "{\"name\":\"\(name)\",\"strategy\":\"fixed_window\",\"limit\":1,\"window\":\"1d\"}")
            let id = try #require(rule["id"]?.string)
            #expect(id != name)
            #expect(try server.request("GET", "/api/rate-limits/\(id)").status == 200)
            #expect(try server.request("DELETE", "/api/rate-limits/\(id)").status == 204)
            #expect(try server.request("GET", "/api/rate-limits").json?.elements.isEmpty == true)
        }

        /// One that an earlier version made under such an id.
        @Test func anOldRuleNamedLikeARouteCanBeDeleted() throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"other","strategy":"fixed_window","limit":1,"window":"1d"}"#)
            let key = server.prefix + "ratelimit:{rules}:rules"
            let stored = try redis.redis("HGET", key, "other")
            let old = stored.replacing("\"other\"", with: "\"authorize\"")
            _ = try redis.redis("HSET", key, "authorize", old)
            let replica = try TestServer(redis: redis, prefix: server.prefix)
            #expect(try replica.request("GET", "/api/rate-limits/rules/authorize")["name"]?.string == "authorize")
            #expect(try replica.request("DELETE", "/api/rate-limits/rules/authorize").status == 204)
            #expect(try redis.redis("HGET", key, "authorize").isEmpty)
        }
    }
}

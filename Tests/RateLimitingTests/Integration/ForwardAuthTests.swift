import Services
import TestSupport
import Testing

extension Integration {
    /// What `authorize` believes, and how it refuses.
    @Suite struct ForwardAuthTests {
        private static let path = "/api/rate-limits/authorize"
        private static let login =
            #"{"name":"login","strategy":"fixed_window","limit":1,"window":"1d","match":{"endpoint":"/login"}}"#

        /// Fields that say nothing where the URL does not name them: each a way to another path or another client.
        private static let madeUp = [
            ("X-API-Key", "made-up"), ("X-User-Id", "made-up"), ("X-Tier", "gold"), ("X-Remote", "made-up"),
        ]

        private func ask(
            _ server: TestServer, method: String = "GET", _ said: String, _ headers: [(String, String)] = []
        ) throws -> HTTPAnswer { try server.request(method, Self.path + said, headers: headers) }

        /// A proxy passes on what a client sends, besides what it says itself.
        @Test(arguments: [
            ("?proxy=nginx", "X-Original-URI", "X-Original-Method", ["X-Forwarded-Uri", "X-Forwarded-Method"]),
            ("?proxy=traefik", "X-Forwarded-Uri", "X-Forwarded-Method", ["X-Original-URI", "X-Original-Method"]),
            ("?proxy=caddy", "X-Forwarded-Uri", "X-Forwarded-Method", ["X-Original-URI", "X-Original-Method"]),
            ("?uri-header=x-path&method-header=x-verb", "X-Path", "X-Verb", ["X-Original-URI", "X-Forwarded-Uri"]),
        ])
        func onlyTheFieldsOfTheNamedProxyCount(
            _ query: String, _ uri: String, _ method: String, _ others: [String]
        ) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"r","strategy":"fixed_window","limit":1,"window":"1d","match":{"endpoint":"/login","method":"POST"}}"#
            )
            let told = [(uri, "/login?x=1"), (method, "POST")]
            #expect(try ask(server, query, told).status == 200)
            for name in others {
                #expect(try ask(server, query, told + [(name, "/open")]).status == 429, "\(name)")
            }
            for field in Self.madeUp { #expect(try ask(server, query, told + [field]).status == 429, "\(field)") }
            #expect(try ask(server, query, [(uri, "/login"), (method, "GET")]).reason == nil)
            // What the proxy should have said is missing, or stands twice: nobody knows what is asked for.
            let none = try ask(server, query, [(method, "POST")])
            #expect(none.status == 400 && none["field"]?.string == uri.lowercased(), "\(none.text)")
            let two = try ask(server, query, told + [(uri, "/open")])
            #expect(two.status == 400 && two["field"]?.string == uri.lowercased(), "\(two.text)")
        }

        /// Without a word nginx's fields count; what only another proxy sends shows that one is to be named.
        @Test func withoutANameItIsNginx() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.login)
            #expect(try ask(server, "", [("X-Original-URI", "/login")]).status == 200)
            for field in Self.madeUp {
                #expect(try ask(server, "", [("X-Original-URI", "/login"), field]).status == 429, "\(field)")
            }
            for other in ["X-Forwarded-Uri", "X-Forwarded-Method"] {
                let answer = try ask(server, "", [("X-Original-URI", "/open"), (other, "/login")])
                #expect(answer.status == 400 && answer["field"]?.string == "proxy", "\(answer.text)")
                #expect(answer["detail"]?.string?.contains("traefik") == true)
            }
        }

        @Test func identitiesCountWhereTheyAreNamed() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(#"{"name":"r","strategy":"fixed_window","limit":1,"window":"1d"}"#)
            let said = "?proxy=nginx&user-header=Remote-User&tier-header=X-Tier"
            for user in ["ann", "ben"] {
                let told = [("X-Original-URI", "/"), ("Remote-User", user)]
                #expect(try ask(server, said, told).status == 200)
                #expect(try ask(server, said, told + [("X-User-Id", "else")]).status == 429)
                #expect(try server.check("{\"userId\":\"\(user)\"}").status == 429)
            }
            let keyed = "?proxy=nginx&api-key-header=x-key"
            #expect(try ask(server, keyed, [("X-Original-URI", "/"), ("X-Key", "k")]).status == 200)
            #expect(try server.check(#"{"apiKey":"k"}"#).status == 429)
        }

        /// Envoy keeps the method and appends path and query, which are the client's.
        @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        func envoyAsksInThePath(_ method: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                """
                {"name":"login","strategy":"fixed_window","limit":1,"window":"1d",
                "match":{"endpoint":"/login","method":"\(method)"}}
                """)
            #expect(try ask(server, method: method, "/envoy/login?proxy=nginx&deny=403").status == 200)
            for field in Self.madeUp + [("X-Original-URI", "/open"), ("X-Forwarded-Uri", "/open")] {
                let answer = try ask(server, method: method, "/envoy/login?user-header=x-user-id", [field])
                #expect(answer.status == 429, "\(field)")
            }
            for path in ["/log%69n", "//login", "/x/../login", "/login/", "/LOGIN"] {
                #expect(try ask(server, method: method, "/envoy" + path).status == 429, "\(path)")
            }
            #expect(try ask(server, method: method, "/envoy;deny=403/login").status == 403)
            #expect(try ask(server, method: method, "/envoy/").status == 200)
            for status in [200, 429] {
                let answer = try ask(
                    server, method: method, "/envoy;user-header=x-user-id/login", [("X-User-Id", "ann")])
                #expect(answer.status == status)
            }
            #expect(try ask(server, method: method, "/traefik/login").status == 404)
        }

        /// Any method is decided, OPTIONS as well, and a list that denies holds for it.
        @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        func everyMethodIsDecided(_ method: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(#"{"name":"denied","action":"deny","match":{"identifier":"198.51.100.0/24"}}"#)
            #expect(try ask(server, method: method, "", [("X-Forwarded-For", "198.51.100.7")]).status == 429)
            #expect(try ask(server, method: method, "?deny=403", [("X-Forwarded-For", "198.51.100.7")]).status == 403)
            #expect(try ask(server, method: method, "", [("X-Forwarded-For", "192.0.2.7")]).status == 200)
        }

        @Test(arguments: [
            ("?proxy=haproxy", "proxy"), ("?proxy=envoy", "proxy"), ("?proxy=nginx&proxy=caddy", "proxy"),
            ("?proxy=nginx&uri-header=x-uri", "proxy"), ("?method-header=x", "uri-header"),
            ("?user-header=", "user-header"), ("?user-header=a:b", "user-header"),
            ("?user-header=Authorization", "user-header"), ("?user-header=Accept-Language", "user-header"),
            ("?denied=403", "denied"), ("?deny=500", "deny"),
            ("/envoy;proxy=nginx/x", "proxy"), ("/envoy;uri-header=x/x", "uri-header"), ("/envoy;deny=1/x", "deny"),
        ])
        func whatTheURLCannotSayIsRefused(_ said: String, _ field: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let answer = try ask(server, said, [("X-Original-URI", "/")])
            #expect(answer.status == 400 && answer["field"]?.string == field, "\(said): \(answer.text)")
        }

        /// A peer that nobody trusts may not speak for a proxy.
        @Test func astrangerIsNoProxy() throws {
            // `t` by SHA-256.
            let tokens = try Tokens(
                file: "test check e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8\n")
            let server = try TestServer(redis: try RedisServer.shared, tokens: tokens) { $0.host = "0.0.0.0" }
            for said in ["?proxy=nginx", "?proxy=traefik", "/envoy/x"] {
                let headers = [("Authorization", "Bearer t"), ("X-Original-URI", "/x"), ("X-Forwarded-Uri", "/x")]
                let answer = try ask(server, said, headers)
                #expect(answer.status == 403 && answer.text.contains("--trusted-proxies"), "\(answer.text)")
            }
        }

        /// Nobody could release what `authorize` takes: concurrency rules are left out, and the answer says so.
        @Test func noLeaseIsTakenThatNobodyCanRelease() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"places","strategy":"concurrency","limit":1,"maxLeaseMs":"1h"}"#)
            for _ in 0..<3 {
                let answer = try ask(server, "")
                #expect(answer.status == 200 && answer.header("X-RateLimit-Skipped") == "concurrency")
            }
            #expect(try redis.redis("KEYS", server.prefix + "ratelimit:*places*").isEmpty)
            try server.rule(#"{"name":"rate","strategy":"fixed_window","limit":1,"window":"1d"}"#)
            #expect(try ask(server, "").header("X-RateLimit-Skipped") == "concurrency")
            let refused = try ask(server, "")
            #expect(refused.status == 429 && refused.header("X-RateLimit-Skipped") == "concurrency")
            // A check that can release its lease is held to the rule.
            let leased = try server.check(#"{"identifier":"ann"}"#)
            #expect(leased.status == 200 && leased["leaseId"] != nil)
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 429)
        }
    }
}

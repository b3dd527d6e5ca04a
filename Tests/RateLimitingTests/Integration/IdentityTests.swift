import Services
import TestSupport
import Testing

extension Integration {
    /// Who a request is counted for, as forward auth and the check route see it.
    @Suite struct IdentityTests {
        private static let once = #"{"name":"once","strategy":"fixed_window","limit":1,"window":"1d"}"#
        /// `t` by SHA-256.
        private static let tokens = "test check e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8\n"

        /// A call whose proxy is believed about keys, users and tiers.
        private static let told =
            "/api/rate-limits/authorize?api-key-header=X-API-Key&user-header=X-User-Id&tier-header=X-Tier"

        private func authorize(_ server: TestServer, _ headers: [(String, String)]) throws -> Int {
            try server.request(
                "GET", Self.told, headers: [("Authorization", "Bearer t")] + headers
            ).status
        }

        private func check(_ server: TestServer, _ json: String) throws -> Int { try server.check(json).status }

        @Test func keyUserAndAddressAreSeparate() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.once)
            for _ in 0..<2 {
                let expected = try check(server, #"{"identifier":"probe","peek":true}"#) == 200 ? 200 : 429
                #expect(try authorize(server, [("X-API-Key", "192.0.2.7")]) == expected)
                #expect(try authorize(server, [("X-User-Id", "192.0.2.7")]) == expected)
                #expect(try authorize(server, [("X-Forwarded-For", "192.0.2.7")]) == expected)
                #expect(try check(server, #"{"identifier":"192.0.2.7"}"#) == expected)
                // The same three by name are the same three.
                #expect(try check(server, #"{"apiKey":"192.0.2.7"}"#) == 429)
                #expect(try check(server, #"{"userId":"192.0.2.7"}"#) == 429)
                #expect(try check(server, #"{"ip":"192.0.2.7"}"#) == 429)
                #expect(try check(server, #"{"identifier":"probe"}"#) == expected)
            }
        }

        @Test func textsDoNotRunIntoEachOther() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(
                #"{"name":"r","strategy":"fixed_window","limit":1,"window":"1d","per":["identifier","endpoint"]}"#)
            #expect(try check(server, #"{"identifier":"a:b","endpoint":"/c"}"#) == 200)
            #expect(try check(server, #"{"identifier":"a","endpoint":"b:/c"}"#) == 200)
            #expect(try check(server, #"{"identifier":"a:b","endpoint":"/c"}"#) == 429)
            #expect(try check(server, #"{"identifier":"a%3Ab","endpoint":"/c"}"#) == 200)
            // Braces of one's own choose no slot and end no tag.
            #expect(try check(server, #"{"identifier":"{x}","endpoint":"/c"}"#) == 200)
            #expect(try check(server, #"{"identifier":"x}:r:1:{","endpoint":"/c"}"#) == 200)
            let keys = try redis.redis("KEYS", "\(server.prefix)ratelimit:{id:*").split(separator: "\n")
            #expect(keys.count == 5)
            for key in keys {
                #expect(key.filter { $0 == "{" }.count == 1 && key.filter { $0 == "}" }.count == 1, "\(key)")
            }
            #expect(keys.contains { $0.contains("{id:%7Bx%7D}:r:1") })
        }

        @Test func formsOfOneAddress() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(Self.once)
            func forwarded(_ address: String) throws -> Int { try authorize(server, [("X-Forwarded-For", address)]) }
            #expect(try forwarded("::ffff:192.0.2.1") == 200)
            #expect(try forwarded("192.0.2.1") == 429)
            #expect(try check(server, #"{"ip":"::ffff:c000:0201"}"#) == 429)
            // One /64 is one client.
            #expect(try forwarded("2001:db8:0:1::1") == 200)
            #expect(try forwarded("2001:db8:0:1:ffff::2") == 429)
            #expect(try forwarded("2001:db8:0:2::1") == 200)
            // The rightmost untrusted address: what the client wrote itself stands left of it.
            #expect(try forwarded("198.51.100.9, 192.0.2.1") == 429)
            #expect(try forwarded("192.0.2.1, 198.51.100.9") == 200)
            #expect(try forwarded("192.0.2.1, 203.0.113.5, 127.0.0.1") == 200)
            #expect(try authorize(server, [("Forwarded", "for=192.0.2.1;proto=https")]) == 429)
        }

        @Test func anUntrustedPeersHeadersAreIgnored() throws {
            let tokens = try Tokens(file: Self.tokens)
            let server = try TestServer(redis: try RedisServer.shared, tokens: tokens) { $0.host = "0.0.0.0" }
            let trusting = try TestServer(
                redis: try RedisServer.shared, prefix: server.prefix, tokens: tokens
            ) {
                $0.host = "0.0.0.0"
                $0.trustedProxies = [AddressBlock("127.0.0.0/8")!]
            }
            let admin = try TestServer(redis: try RedisServer.shared, prefix: server.prefix)
            try admin.rule(#"{"name":"r","strategy":"fixed_window","limit":5,"window":"1d"}"#)
            try #require(blockingUntil { try authorize(server, [("X-Probe", "1")]) == 200 })
            #expect(blockingUntil { (try? check(trusting, #"{"identifier":"p"}"#)) == 401 })
            _ = try admin.request(
                "POST", "/api/rate-limits/reset", body: #"{"ip":"127.0.0.1"}"#)
            // A thousand made-up clients are one.
            let connection = try server.connect()
            var allowed = 0
            for i in 0..<1000 {
                try connection.send([
                    HTTPConnection.encode(
                        "GET", "/api/rate-limits/authorize",
                        headers: [
                            ("Authorization", "Bearer t"), ("X-Forwarded-For", "192.0.2.\(i % 250)"),
                            (i % 2 == 0 ? "X-API-Key" : "X-User-Id", "made-up-\(i)"), ("X-Tier", "gold-\(i)"),
                        ])
                ])
                if try connection.receive().status == 200 { allowed += 1 }
            }
            #expect(allowed == 5)
            // From a peer that is trusted they count.
            #expect(try authorize(trusting, [("X-Forwarded-For", "192.0.2.1")]) == 200)
            #expect(try authorize(trusting, [("X-User-Id", "made-up-1")]) == 200)
            #expect(try authorize(trusting, []) == 429)
        }

        /// What nginx's `auth_request` can pass on: one status for every refusal, and the reason in a header.
        @Test func forwardAuthAnswers() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"r","strategy":"token_bucket","limit":1,"window":"10s","match":{"endpoint":"/site/{x}/a"}}"#)
            let connection = try server.connect()
            func ask(_ query: String, _ uri: String) throws -> HTTPAnswer {
                try connection.request(
                    "GET", "/api/rate-limits/authorize" + query,
                    headers: [("X-User-Id", "ann"), ("X-Original-URI", uri), ("X-Original-Method", "GET")])
            }
            let allowed = try ask("", "/site/1/a?x=/site/2")
            #expect(allowed.status == 200 && allowed.body.isEmpty)
            #expect(allowed.header("RateLimit") == #""r";r=0;t=10"#)
            #expect(allowed.header("RateLimit-Policy") == #""r";q=1;w=10"#)
            #expect(allowed.header("X-RateLimit-Limit") == "1" && allowed.header("X-RateLimit-Remaining") == "0")
            // The same place by other spellings; another place is nobody's business.
            for uri in ["/site/2/a", "/site/x/%61", "/site/y/../x/./a", "http://h/site/1/a#f"] {
                #expect(try ask("", uri).status == 429, "\(uri)")
            }
            #expect(try ask("", "/site/1/b").status == 200)
            let refused = try ask("?deny=403", "/site/1/a")
            #expect(refused.status == 403)
            #expect(refused.header("X-RateLimit-Reason") == "limit-exceeded")
            #expect((1...10).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
            #expect(refused.header("Cache-Control") == "no-store")
            #expect(try ask("?deny=500", "/site/1/a")["field"]?.string == "deny")
        }
    }
}

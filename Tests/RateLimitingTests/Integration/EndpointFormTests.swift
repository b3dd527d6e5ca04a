import TestSupport
import Testing

extension Integration {
    /// One place is one endpoint, however it is written, for `check` as for `authorize`.
    @Suite struct EndpointFormTests {
        private static let spellings = [
            "/login?x=1", "//login", "/log%69n", "/./login", "/x/../login", "/login#top", "https://shop.example/login",
            "/login/", "/LOGIN", "/Login/?x", "/login//",
        ]

        @Test(arguments: spellings) func everySpellingIsTheSamePlace(_ spelling: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            // By the rule's endpoint, and by an own counter per endpoint.
            try server.rule(
                #"{"name":"a","strategy":"fixed_window","limit":1,"window":"1d","match":{"endpoint":"/login","method":"POST"}}"#
            )
            try server.rule(
                #"{"name":"b","strategy":"fixed_window","limit":1,"window":"1d","per":["identifier","endpoint"],"group":"b"}"#
            )
            func check(_ who: String, _ endpoint: String) throws -> HTTPAnswer {
                try server.check("{\"identifier\":\"\(who)\",\"endpoint\":\"\(endpoint)\",\"method\":\"post\"}")
            }
            #expect(try check("ann", "/login").status == 200)
            let again = try check("ann", spelling)
            #expect(again.status == 429 && again["violated"]?.elements.count == 2, "\(again.text)")
            let bulk = try server.request(
                "POST", "/api/rate-limits/check/bulk",
                body: #"[{"identifier":"ben","endpoint":"/login"},{"identifier":"ben","endpoint":"\#(spelling)"}]"#)
            #expect(bulk["decisions"]?.elements.map { $0["allowed"]?.bool } == [true, false])
            let forwarded = try server.request(
                "GET", "/api/rate-limits/authorize?proxy=nginx",
                headers: [("X-Original-URI", spelling), ("X-Original-Method", "post")])
            #expect(forwarded.header("RateLimit")?.contains("\"a\"") == true)
        }

        /// A rule that says so tells `/Login` and `/login/` apart; both are then only what they are.
        @Test func aRuleMayMeanThePathToTheLetter() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let made = try server.rule(
                #"{"name":"a","strategy":"fixed_window","limit":1,"window":"1d","match":{"endpoint":"/Files/{x}","exact":true}}"#
            )
            #expect(made["match"]?["exact"]?.bool == true)
            func reason(_ endpoint: String) throws -> String? {
                try server.check("{\"identifier\":\"ann\",\"endpoint\":\"\(endpoint)\",\"peek\":true}").reason
            }
            #expect(try reason("/Files/A") == "allowed" && reason("//Files/%41?x") == "allowed")
            #expect(try reason("/files/A") == "no-rule" && reason("/Files/A/") == "no-rule")
            try server.rule(
                #"{"name":"b","strategy":"fixed_window","limit":1,"window":"1d","per":["endpoint"],"match":{"exact":true},"group":"b"}"#
            )
            for endpoint in ["/p", "/P", "/p/"] {
                #expect(try server.check("{\"identifier\":\"ann\",\"endpoint\":\"\(endpoint)\"}").status == 200)
            }
        }

        /// An endpoint that no request ever has.
        @Test(arguments: ["/a?x=1", "/a//b", "/a/../b", "/caf%C3%A9", "/a#b"])
        func anEndpointThatNeverMatchesIsRefused(_ endpoint: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let answer = try server.request(
                "POST", "/api/rate-limits", body: "{\"action\":\"deny\",\"match\":{\"endpoint\":\"\(endpoint)\"}}")
            #expect(answer.status == 400 && answer["field"]?.string == "match.endpoint", "\(answer.text)")
        }

        /// A rule that counts by address has nothing to count by in a check without one.
        @Test func aCheckWithoutAnAddressIsNotEverybodys() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(
                #"{"name":"by-address","strategy":"fixed_window","limit":1,"window":"1d","per":["ip"],"match":{"endpoint":"/a"}}"#
            )
            let connection = try server.connect()
            for (target, body, field) in [
                ("check", #"{"identifier":"ann","endpoint":"/a"}"#, "ip"),
                (
                    "check/bulk", #"[{"ip":"192.0.2.1","endpoint":"/a"},{"identifier":"ann","endpoint":"/a"}]"#,
                    "checks[1].ip"
                ),
                ("refund", #"{"identifier":"ann","endpoint":"/a"}"#, "ip"),
                ("reset", #"{"identifier":"ann","endpoint":"/a"}"#, "ip"),
                ("leases", #"{"identifier":"ann","endpoint":"/a"}"#, "ip"),
            ] {
                let answer = try connection.request("POST", "/api/rate-limits/" + target, body: body)
                #expect(answer.status == 422 && answer["field"]?.string == field, "\(target): \(answer.text)")
                #expect(answer["detail"]?.string?.contains("by-address") == true)
            }
            #expect(try connection.request("GET", "/api/rate-limits/status?identifier=ann&endpoint=/a").status == 422)
            // Nothing of the bulk was counted, and where the rule is not met nothing is asked for.
            #expect(try server.check(#"{"ip":"192.0.2.1","endpoint":"/a"}"#).status == 200)
            #expect(try server.check(#"{"identifier":"ann","endpoint":"/b"}"#).status == 200)
        }
    }
}

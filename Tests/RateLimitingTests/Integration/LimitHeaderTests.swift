import JSON
import TestSupport
import Testing

extension Integration {
    /// The limit headers as draft-ietf-httpapi-ratelimit-headers-11 has them.
    @Suite struct LimitHeaderTests {
        /// A policy's numbers give the rate that the rule gives, in integers that a structured field may hold.
        @Test(arguments: [
            (#""strategy":"token_bucket","limit":5,"window":"1s","burst":10"#, "q=10;w=2"),
            (#""strategy":"token_bucket","limit":10,"window":"1s""#, "q=10;w=1"),
            (#""strategy":"token_bucket","limit":1,"window":"10s","burst":3"#, "q=3;w=30"),
            (#""strategy":"token_bucket","limit":3,"window":"1s","burst":10"#, "q=10;w=4"),
            (#""strategy":"token_bucket","limit":1000,"window":"1s","burst":1"#, "q=1;w=1"),
            (#""strategy":"fixed_window","limit":7,"window":"90s""#, "q=7;w=90"),
            (#""strategy":"sliding_window","limit":7,"window":"1500ms""#, "q=7;w=2"),
            (#""strategy":"quota","limit":7,"period":"day""#, "q=7;w=86400"),
            (#""strategy":"concurrency","limit":7,"maxLeaseMs":"1m""#, #"q=7;qu="concurrent-requests""#),
            (#""strategy":"fixed_window","limit":9007199254740991,"window":"1m""#, "q=999999999999999;w=60"),
            (#""strategy":"quota","limit":9007199254740991,"period":"year""#, "q=999999999999999;w=31536000"),
        ])
        func aPolicySaysItsRate(_ members: String, _ expected: String) throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule("{\"name\":\"r\",\(members)}")
            let answer = try server.check(#"{"identifier":"ann"}"#)
            #expect(answer.header("RateLimit-Policy") == "\"r\";" + expected)
            let service = try #require(answer.header("RateLimit"))
            let remaining = service.split(separator: ";").first { $0.hasPrefix("r=") }?.dropFirst(2)
            #expect((1...15).contains(remaining?.count ?? 0), "\(service)")
            #expect(service.contains(";t=") == !members.contains("concurrency"), "\(service)")
        }

        /// A refusal is the draft's problem, which names the policies as the fields do.
        @Test func aRefusalNamesTheViolatedPolicies() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            for (name, limit) in [("minute", 1), ("the \\\"odd\\\" one", 1), ("day", 5)] {
                try server.rule(
                    "{\"name\":\"\(name)\",\"strategy\":\"fixed_window\",\"limit\":\(limit),\"window\":\"1d\"}")
            }
            #expect(try server.check(#"{"identifier":"ann"}"#).status == 200)
            let refused = try server.check(#"{"identifier":"ann"}"#)
            #expect(refused["type"]?.string == "https://iana.org/assignments/http-problem-types#quota-exceeded")
            let names = refused["violated-policies"]?.elements.compactMap(\.string) ?? []
            #expect(names == ["minute", "the-odd-one"], "\(refused.text)")
            let fields = try #require(refused.header("RateLimit-Policy"))
            for name in names { #expect(fields.contains("\"\(name)\";")) }
            #expect(refused["violated"]?.elements.compactMap(\.string) == ["minute", "the \"odd\" one"])
            #expect(refused["status"]?.int == 429 && refused["detail"] != nil)
            // What is refused for another reason is another problem.
            try server.rule(#"{"name":"denied","action":"deny","match":{"identifier":"ben"}}"#)
            let denied = try server.check(#"{"identifier":"ben"}"#)
            #expect(denied["type"]?.string == "/problems/too-many-requests" && denied["violated-policies"] == nil)
        }

        /// Sixty rules with long names: the fields stay below 1 KB and have the rules that matter.
        @Test func manyRulesMakeNoLongerHead() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let rules = (0..<60).map { i in
                let name = "r\(i)-" + String(repeating: "x", count: i % 2 == 0 ? 0 : 110)
                let limit = i == 41 ? 1 : i == 40 ? 2 : 1000 + i
                return "{\"name\":\"\(name)\",\"strategy\":\"fixed_window\",\"limit\":\(limit),\"window\":\"1d\"}"
            }
            let applied = try server.request(
                "POST", "/api/rate-limits/apply", body: "[\(rules.joined(separator: ","))]")
            #expect(applied.status == 200, "\(applied.text)")
            for status in [200, 429] {
                let answer = try server.check(#"{"identifier":"ann"}"#)
                #expect(answer.status == status)
                let size = answer.headers.filter { $0.name.hasPrefix("RateLimit") || $0.name.hasPrefix("X-RateLimit") }
                    .reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
                #expect(size < 1024, "\(size)")
                for field in ["RateLimit", "RateLimit-Policy"] {
                    let items = try #require(answer.header(field)).components(separatedBy: ", ")
                    #expect((2...8).contains(items.count), "\(items)")
                    #expect(items.contains { $0.hasPrefix("\"r41-") })
                }
                #expect(answer["policies"]?.elements.count == 60)
            }
            let refused = try server.check(#"{"identifier":"ann"}"#)
            #expect(refused["violated"]?.elements.count == 1)
        }
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [String] {
        split(separator: separator).map(String.init)
    }
}

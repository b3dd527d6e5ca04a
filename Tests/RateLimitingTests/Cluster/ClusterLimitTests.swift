import Glibc
import JSON
import TestSupport
import Testing

extension Integration.Clusters {
    /// Many at once, from two replicas, under rules in several slots.
    @Suite struct ClusterLimitTests {
        /// What a fixed window or quota key says is used.
        private func used(_ cluster: RedisCluster, _ key: String) throws -> Int {
            let text = try cluster.redis("GET", key).text
            return Int(text.split(separator: " ").first?.dropFirst("used=".count) ?? "") ?? 0
        }

        /// Whoever is in the way of whom: never more passes than every limit lets, what was refused is not counted
        /// anywhere, and what is left can be used up.
        @Test func limitsAreExactOverSlots() async throws {
            let cluster = try SharedCluster.cluster
            let first = try TestServer(cluster: cluster, loops: 2)
            let second = try TestServer(cluster: cluster, prefix: first.prefix)
            try first.rule(#"{"name":"user","strategy":"fixed_window","limit":70,"window":"365d"}"#)
            try first.rule(#"{"name":"address","strategy":"sliding_window","limit":130,"window":"1d","per":["ip"]}"#)
            try first.rule(#"{"name":"all","strategy":"fixed_window","limit":300,"window":"365d","per":["global"]}"#)
            #expect(try second.knows(rules: 3))
            let users = (0..<6).map { "user\($0)" }
            func body(_ i: Int) -> String {
                "{\"identifier\":\"\(users[i % 6])\",\"ip\":\"192.0.2.\(i % 3)\",\"cost\":\(1 + i % 2)}"
            }
            let crowd = try Crowd([first, second], count: 128)
            var allowed = 0
            try crowd.post("/api/rate-limits/check", (0..<3000).map(body)) { answer in
                switch (answer.status, answer.reason) {
                case (200, "allowed"): allowed += 1
                case (429, "limit-exceeded"): break
                default: Issue.record("\(answer.status) \(answer.text)")
                }
            }
            #expect(allowed > 0)
            // By now nothing is on its way, and only what has passed is counted.
            let all = "\(first.prefix)ratelimit:{global}:all:3"
            let ofUsers = { try users.map { try used(cluster, first.key("id:\($0)", "user", 1)) } }
            let ofAddresses = {
                try (0..<3).map { i in
                    Int(try cluster.redis("ZCARD", first.key("ip:192.0.2.\(i)", "address", 2)).text) ?? 0
                }
            }
            #expect(
                await eventually {
                    let total = try? used(cluster, all)
                    return total == (try? ofUsers())?.reduce(0, +) && total == (try? ofAddresses())?.reduce(0, +)
                })
            let total = try used(cluster, all)
            #expect(total <= 300)
            #expect(try ofUsers().allSatisfy { $0 <= 70 } && ofAddresses().allSatisfy { $0 <= 130 })
            // Two of the six share each address, so what they may have is 130 of 140 each, 390 in all, of which 300 pass.
            let connection = try second.connect()
            for i in 0..<600 {
                _ = try connection.request(
                    "POST", "/api/rate-limits/check",
                    body: "{\"identifier\":\"\(users[i % 6])\",\"ip\":\"192.0.2.\(i % 3)\"}")
            }
            #expect(try used(cluster, all) == 300)
            #expect(try ofUsers().reduce(0, +) == 300 && ofAddresses().reduce(0, +) == 300)
            for server in [first, second] {
                #expect(try server.metric("quartermaster_ratelimit_store_failures_total") == 0)
                #expect(try server.metric("quartermaster_ratelimit_lost_give_backs_total") == 0)
            }
        }

        /// Subjects in thousands of slots at once: one call per slot, and every limit exact.
        @Test func aThousandSubjectsInOneTick() throws {
            let cluster = try SharedCluster.cluster
            let server = try TestServer(cluster: cluster)
            try server.rule(#"{"name":"few","strategy":"token_bucket","limit":2,"window":"365d"}"#)
            let checks = (0..<1000).map { "{\"identifier\":\"u\($0 % 333)\"}" }
            let bulk = try server.request(
                "POST", "/api/rate-limits/check/bulk", body: "[\(checks.joined(separator: ","))]")
            let decisions = bulk["decisions"]?.elements ?? []
            #expect(decisions.count == 1000)
            #expect(decisions.enumerated().allSatisfy { i, answer in (answer["allowed"]?.bool == true) == (i < 666) })
            let calls = try server.metric("quartermaster_ratelimit_calls_total")
            #expect((300...333).contains(calls), "as many as there are slots")
        }

        /// A refusal of one's own limit, which another slot's refusal gave back, is not remembered for longer than a second.
        @Test func whatWasGivenBackIsNotRefusedForLong() async throws {
            let cluster = try SharedCluster.cluster
            let server = try TestServer(cluster: cluster)
            try server.rule(#"{"name":"user","strategy":"fixed_window","limit":1,"window":"365d"}"#)
            try server.rule(
                #"{"name":"none","strategy":"fixed_window","limit":1,"window":"365d","per":["global"],"match":{"endpoint":"/b"}}"#
            )
            // The global one is used up, so a request for /b takes ann's place for a moment, in which /a is refused.
            let connection = try server.connect()
            let other = #"{"identifier":"ben","endpoint":"/b"}"#
            #expect(try connection.request("POST", "/api/rate-limits/check", body: other).status == 200)
            for _ in 0..<5 {
                let checks = [#"{"identifier":"ann","endpoint":"/b"}"#, #"{"identifier":"ann","endpoint":"/a"}"#]
                let both = try connection.request(
                    "POST", "/api/rate-limits/check/bulk", body: "[\(checks.joined(separator: ","))]")
                let decisions = both["decisions"]?.elements ?? []
                #expect(decisions.map { $0["allowed"]?.bool } == [false, false])
                #expect(decisions.first?["violated"]?.text() == #"["none"]"#, "\(both.text)")
            }
            let metrics = try server.request("GET", "/metrics").text
            #expect(metrics.contains(#"decisions_total{rule="user",result="allowed"} 1"#), "ben's alone")
            #expect(
                await eventually {
                    (try? server.check(#"{"identifier":"ann","endpoint":"/a"}"#).status) == 200
                })
        }
    }
}

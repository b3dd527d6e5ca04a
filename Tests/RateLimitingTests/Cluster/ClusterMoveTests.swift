import JSON
import TestSupport
import Testing

extension Integration.Clusters {
    /// Every script while its slot is on the move: it acts whole or not at all, and other slots do not notice.
    @Suite struct ClusterMoveTests {
        private static let strategies = [
            #""token_bucket","limit":9,"window":"365d""#, #""fixed_window","limit":9,"window":"365d""#,
            #""sliding_window","limit":9,"window":"30d""#, #""sliding_window_counter","limit":9,"window":"30d""#,
            #""quota","limit":9,"period":"year""#, #""concurrency","limit":9,"maxLeaseMs":"1h""#,
        ]

        /// A server whose rules stand at `/0` to `/5`, one strategy each, and two of them together at `/2/x`.
        private struct Site {
            let cluster = try! RedisCluster(masters: 3)
            let server: TestServer
            let connection: HTTPConnection
            let slot: Int
            let source: RedisServer
            let target: RedisServer

            init(_ who: String) throws {
                server = try TestServer(cluster: cluster, budgetMs: 300)
                for (i, strategy) in ClusterMoveTests.strategies.enumerated() {
                    try server.rule(
                        "{\"name\":\"r\(i)\",\"strategy\":\(strategy),\"onStoreFailure\":\"deny\","
                            + "\"match\":{\"endpoint\":\"/\(i)*\"}}")
                }
                try server.rule(
                    #"{"name":"deep","strategy":"fixed_window","limit":9,"window":"365d","onStoreFailure":"deny","match":{"endpoint":"/2/x"}}"#
                )
                connection = try server.connect()
                slot = try cluster.slot(of: server.prefix + who)
                source = try cluster.owner(ofSlot: slot)
                let (all, from) = (cluster.masters, source)
                target = all.first { $0 !== from }!
            }

            func post(_ target: String, _ endpoint: String, _ more: String = "", who: String = "ann") throws
                -> HTTPAnswer
            {
                try connection.request(
                    "POST", "/api/rate-limits" + target,
                    body: "{\"identifier\":\"\(who)\",\"endpoint\":\"\(endpoint)\"\(more)}")
            }

            /// All of the slot's values on both nodes.
            func values() throws -> [String: String] {
                var values: [String: String] = [:]
                for node in [source, target] {
                    let connection = try node.connect()
                    for key in try cluster.keys(ofSlot: slot, on: node) {
                        func read(_ words: String...) throws -> String {
                            _ = try connection("ASKING")
                            return try connection.command(words).text
                        }
                        switch try read("TYPE", key) {
                        case "string": values[key] = try read("GET", key)
                        case "hash": values[key] = try read("HGETALL", key)
                        case "stream": values[key] = try read("XRANGE", key, "-", "+")
                        default: values[key] = try read("ZRANGE", key, "0", "-1", "WITHSCORES")
                        }
                    }
                }
                return values
            }
        }

        @Test func checksAndWhatGivesBack() throws {
            let site = try Site("ratelimit:{id:ann}")
            for i in 0..<3 { #expect(try site.post("/check", "/\(i)").remaining == 8) }
            #expect(try site.post("/check", "/2/x", #","cost":2"#).remaining == 6)
            let held = try #require(try site.post("/leases", "/5")["leaseId"]?.string)
            let place = "/api/rate-limits/leases/\(held)"
            try site.cluster.beginMove(ofSlot: site.slot, to: site.target)
            // A key that is there is decided at its old place, one that is new is made at the new one.
            for i in 0..<5 {
                #expect(try site.post("/check", "/\(i)").remaining == (i < 2 ? 7 : i == 2 ? 5 : 8), "\(i)")
            }
            #expect(try site.connection.request("PUT", place).status == 200)
            #expect(try site.cluster.keys(ofSlot: site.slot, on: site.target).count == 2)
            // Where some of the keys have moved, a call on both sides of the gap does nothing.
            let deep = try #require(try site.values().keys.first { $0.hasSuffix(":deep:7") })
            let mover = try site.source.connect()
            try mover.command(["MIGRATE", "127.0.0.1", String(site.target.port!), deep, "0", "5000"])
            let before = try site.values()
            let both = try site.post("/check", "/2/x")
            #expect(both.status == 503 && both.reason == "store-unavailable", "\(both.text)")
            #expect(both.header("Retry-After") == "1")
            #expect(try site.post("/check", "/2/x", #","peek":true"#).status == 503)
            let refund = try site.post("/refund", "/2/x", #","amount":1"#)
            #expect(refund.status == 503 && refund.header("Retry-After") == "1", "\(refund.text)")
            #expect(try site.values() == before)
            // Single keys go on, on either side, and so do others.
            #expect(try site.post("/check", "/2").remaining == 4)
            #expect(try site.post("/refund", "/1", #","amount":1"#).text.contains(#""remaining":8"#))
            #expect(try site.connection.request("PUT", place).status == 200)
            for i in 0..<3 {
                #expect(try site.post("/check", "/2/x", who: "other\(i)").status == 200)
                #expect(try site.post("/check", "/0", who: "other\(i)").status == 200)
            }
            #expect(try site.post("/reset", "/0").status == 200)
            try site.cluster.moveKeys(ofSlot: site.slot, to: site.target)
            try site.cluster.endMove(ofSlot: site.slot, to: site.target)
            let after = try site.post("/check", "/2/x")
            #expect(after.status == 200 && after["policies"]?.elements.map { $0["remaining"]?.int } == [3, 6])
            #expect(try site.post("/check", "/0").remaining == 8)
            #expect(try site.post("/check", "/1").remaining == 7)
            #expect(try site.connection.request("DELETE", place).status == 204)
            #expect(try site.post("/check", "/5", #","cost":9"#).status == 200)
        }

        @Test func changesOfRules() throws {
            let site = try Site("ratelimit:{rules}")
            let fresh = #"{"name":"new","strategy":"fixed_window","limit":3,"window":"1d","match":{"endpoint":"/new"}}"#
            try site.cluster.beginMove(ofSlot: site.slot, to: site.target)
            try site.cluster.moveKeys(ofSlot: site.slot, to: site.target, most: 1)
            let before = try site.values()
            for (method, target, body) in [
                ("POST", "", fresh), ("DELETE", "/r1", nil), ("POST", "/apply", "{\"rules\":[\(fresh)]}"),
            ] {
                let answer = try site.connection.request(method, "/api/rate-limits" + target, body: body)
                #expect(answer.status == 503 && answer.header("Retry-After") == "1", "\(answer.text)")
            }
            #expect(try site.values() == before)
            // The rules there are bind as they did.
            #expect(try site.post("/check", "/0").remaining == 8)
            try site.cluster.moveKeys(ofSlot: site.slot, to: site.target)
            try site.cluster.endMove(ofSlot: site.slot, to: site.target)
            #expect(try site.connection.request("POST", "/api/rate-limits", body: fresh).status == 201)
            #expect(try site.post("/check", "/new").remaining == 2)
        }
    }
}

import JSON
import TestSupport
import Testing

extension Integration.Clusters {
    /// A node that is dead or paused decides nothing about the others.
    @Suite struct ClusterNodeTests {
        @Test func aDeadNodeIsOnlyItsOwnSubjectsTrouble() throws {
            let cluster = try RedisCluster(
                masters: 3, nodeTimeoutMs: 60_000, arguments: ["--cluster-require-full-coverage", "no"])
            let server = try TestServer(cluster: cluster, budgetMs: 200)
            try server.rule(
                #"{"name":"strict","strategy":"fixed_window","limit":1000,"window":"365d","onStoreFailure":"deny"}"#)
            try server.rule(
                #"{"name":"address","strategy":"fixed_window","limit":1000,"window":"365d","per":["ip"],"match":{"endpoint":"/b"}}"#
            )
            let names = try (0..<3).map { node in
                try (0..<1000).lazy.map { "n\($0)" }.first {
                    try cluster.owner(ofSlot: cluster.slot(of: server.key("id:\($0)", "strict", 1)))
                        === cluster.masters[node]
                }!
            }
            let connection = try server.connect()
            func check(_ name: String, _ more: String = "") throws -> HTTPAnswer {
                try connection.request("POST", "/api/rate-limits/check", body: "{\"identifier\":\"\(name)\"\(more)}")
            }
            for name in names { #expect(try blockingUntil { try check(name).reason == "allowed" }) }
            let address = try (0..<256).lazy.map { "192.0.2.\($0)" }.first {
                try cluster.owner(ofSlot: cluster.slot(of: server.key("ip:\($0)", "address", 2))) === cluster.masters[2]
            }!
            // Paused, the worst of deaths: calls wait for it until their time is over, then its breaker opens.
            cluster.masters[2].pause()
            for _ in 0..<3 {
                for _ in 0..<4 {
                    let dead = try check(names[2])
                    #expect(dead.status == 503 && dead.reason == "store-unavailable", "\(dead.text)")
                }
                // Right after that the dead one's breaker is open.
                for name in names.prefix(2) {
                    let answer = try check(name)
                    #expect(answer.status == 200 && answer.reason == "allowed", "\(answer.text)")
                }
            }
            // Of two rules the one that can be asked decides; the other's failure mode lets pass, and that is said.
            let before = try #require(try check(names[0]).remaining)
            let partly = try check(names[0], ",\"ip\":\"\(address)\",\"endpoint\":\"/b\"")
            #expect(partly.status == 200 && partly.reason == "store-unavailable", "\(partly.text)")
            #expect(partly.remaining == before - 1 && partly["policies"]?.elements.count == 1)
            cluster.masters[2].resume()
            let fresh = try server.connect()
            #expect(
                try blockingUntil {
                    try fresh.request(
                        "POST", "/api/rate-limits/check", body: "{\"identifier\":\"\(names[2])\"}"
                    ).reason == "allowed"
                })
        }
    }
}

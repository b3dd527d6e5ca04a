import JSON
import TestSupport
import Testing

extension Integration {
    /// The master fails over: what was counted stays counted, and changes of rules are heard of from the new one.
    @Suite struct SentinelTests {
        @Test func limitsGoOnAtTheNewMaster() throws {
            let sentinels = try RedisSentinels(replicas: 1)
            func server(_ prefix: String?) throws -> TestServer {
                try TestServer(redis: sentinels.servers[0], prefix: prefix) {
                    $0.redisURL = sentinels.url
                    $0.checkBudgetMs = 500
                }
            }
            let first = try server(nil)
            let second = try server(first.prefix)
            let rule = #"{"name":"user","strategy":"sliding_window","limit":9,"window":"1d","onStoreFailure":"deny"}"#
            try first.rule(rule)
            #expect(try second.knows(rules: 1))
            let body = #"{"identifier":"ann"}"#
            for server in [first, second, first] { #expect(try server.check(body).status == 200) }
            let held = try first.request("POST", "/api/rate-limits/check", body: #"{"identifier":"ben","cost":9}"#)
            #expect(held.status == 200)
            let old = try sentinels.master()
            #expect(try old.redis("WAIT", "1", "5000") == "1")
            old.kill()
            #expect(try blockingUntil { try sentinels.master() !== old })
            for (i, server) in [first, second].enumerated() {
                // Until then the rule's failure mode refuses, with 503.
                var statuses: Set<Int> = []
                let isServed = try blockingUntil {
                    statuses.insert(try server.check(body).status)
                    return statuses.contains(200)
                }
                #expect(isServed && statuses.isSubset(of: [200, 503]))
                #expect(try server.check(#"{"identifier":"ann","peek":true}"#).remaining == 5 - i)
                #expect(try server.check(#"{"identifier":"ben"}"#).status == 429)
            }
            // Rules change at the new master, and the other replica hears of it.
            try second.rule(
                #"{"name":"more","strategy":"fixed_window","limit":3,"window":"1d","match":{"endpoint":"/more"}}"#)
            #expect(try first.knows(rules: 2))
            #expect(try first.check(#"{"identifier":"cid","endpoint":"/more"}"#)["policies"]?.elements.count == 2)
        }
    }
}

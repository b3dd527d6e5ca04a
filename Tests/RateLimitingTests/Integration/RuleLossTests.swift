import EventLoops
import Glibc
import JSON
import TestSupport
import Testing

extension Integration {
    /// Redis loses what it held: limits and lists stay in force, and nobody has to make them again.
    @Suite struct RuleLossTests {
        private static let file =
            #"{"rules":[{"name":"from-file","action":"deny","match":{"identifier":"mallory"}}]}"#

        private static let limit =
            #"{"name":"api","strategy":"fixed_window","limit":2,"window":"1d","match":{"identifier":"ann"}}"#

        private func withFile(_ body: (String) throws -> Void) throws {
            let path = "/tmp/qm-rules-\(getpid())-\(UInt32.random(in: 0 ... .max)).json"
            let handle = fopen(path, "w")
            fputs(RuleLossTests.file, handle)
            fclose(handle)
            defer { unlink(path) }
            try body(path)
        }

        private func isDenied(_ who: String, _ server: TestServer) throws -> Bool {
            try server.check("{\"identifier\":\"\(who)\"}").isAllowed == false
        }

        private func rules(_ redis: RedisServer, _ server: TestServer) throws -> [String] {
            try redis.redis("HKEYS", server.prefix + "ratelimit:{rules}:rules").split(separator: "\n").map(String.init)
                .sorted()
        }

        private func expectRestored(_ redis: RedisServer, _ servers: [TestServer], losses: Int) throws {
            #expect(try blockingUntil { try rules(redis, servers[0]) == ["api", "from-file"] })
            for server in servers {
                #expect(try blockingUntil { try server.metric("quartermaster_ratelimit_rules_lost_total") <= losses })
                #expect(try isDenied("mallory", server))
                #expect(try server.request("GET", "/api/rate-limits/api")["version"]?.int == 2)
            }
            #expect(
                try blockingUntil {
                    try servers.map { try $0.metric("quartermaster_ratelimit_rules_lost_total") }.reduce(0, +) > 0
                })
        }

        @Test(arguments: ["FLUSHALL", "restart", "DEL"])
        func whatWasKnownIsWrittenBack(_ how: String) throws {
            try withFile { path in
                let redis = try RedisServer()
                let first = try TestServer(redis: redis, loops: 2) { $0.rulesFile = path }
                let second = try TestServer(redis: redis, prefix: first.prefix) { $0.rulesFile = path }
                let servers = [first, second]
                try first.rule(RuleLossTests.limit)
                let stricter = RuleLossTests.limit.replacing("\"limit\":2", with: "\"limit\":1")
                let changed = try first.request("PUT", "/api/rate-limits/api", body: stricter)
                #expect(changed.status == 200)
                #expect(try second.knows(rules: 2))
                for round in 1...3 {
                    switch how {
                    case "FLUSHALL": try redis.redis("FLUSHALL")
                    case "restart": try redis.restart()
                    default: try redis.redis("DEL", first.prefix + "ratelimit:{rules}:rules")
                    }
                    // Nothing is let pass meanwhile: those that are known decide.
                    if how != "restart" { for server in servers { #expect(try isDenied("mallory", server)) } }
                    try expectRestored(redis, servers, losses: round)
                    #expect(
                        try blockingUntil {
                            let answer = try first.check(#"{"identifier":"ann"}"#)
                            return answer.isAllowed == false && answer.reason == "limit-exceeded"
                        })
                }
                // Rules are changed as before, and the file's content counts as applied.
                try first.rule(#"{"name":"later","action":"deny","match":{"identifier":"eve"}}"#)
                #expect(try isDenied("eve", first))
                #expect(try blockingUntil { try isDenied("eve", second) })
                #expect(try redis.redis("HLEN", first.prefix + "ratelimit:{rules}:applied") == "1")
            }
        }

        /// An older state, as a replica that had not heard everything leaves it after a failover: it holds, and the rule file
        /// is applied to it.
        @Test func anOlderStateHoldsWithTheRuleFile() throws {
            try withFile { path in
                let redis = try RedisServer()
                let server = try TestServer(redis: redis, loops: 2) { $0.rulesFile = path }
                try server.rule(RuleLossTests.limit)
                let keys = server.prefix + "ratelimit:{rules}:"
                let stored = try redis.redis("HGET", keys + "rules", "api")
                try server.rule(#"{"name":"later","action":"deny","match":{"identifier":"eve"}}"#)
                let connection = try redis.connect()
                for command in [
                    ["MULTI"], ["DEL", keys + "rules", keys + "changes", keys + "applied"],
                    ["HSET", keys + "rules", "api", stored], ["SET", keys + "revision", "1"], ["EXEC"],
                ] {
                    _ = try connection.command(command)
                }
                #expect(try blockingUntil { try rules(redis, server) == ["api", "from-file"] })
                #expect(try blockingUntil { try isDenied("mallory", server) && !isDenied("eve", server) })
                #expect(try server.metric("quartermaster_ratelimit_rules_lost_total") == 1)
                try server.rule(#"{"name":"again","action":"deny","match":{"identifier":"eve"}}"#)
                #expect(try isDenied("eve", server))
            }
        }

        /// Rules that are deleted by the way that is made for it stay deleted.
        @Test func rulesThatAreDeletedAreGone() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(RuleLossTests.limit)
            #expect(try server.request("DELETE", "/api/rate-limits/api").status == 204)
            try server.rule(RuleLossTests.limit)
            let answer = try server.request("POST", "/api/rate-limits/apply?prune=true", body: "[]")
            #expect(answer.status == 200 && answer["changed"]?.int == 1)
            #expect(try server.knows(rules: 0))
            #expect(try server.metric("quartermaster_ratelimit_rules_lost_total") == 0)
            #expect(try rules(redis, server) == [])
        }
    }
}

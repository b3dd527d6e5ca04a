import JSON
import TestSupport
import Testing

/// Rules as files: `rules apply`, `rules export`, `--rules FILE`.
extension Fleet {
    @Suite(.serialized) struct RuleFileTests {
        private let folder: TemporaryFolder
        private var file: String { folder.path + "/rules.json" }

        init() throws { folder = try TemporaryFolder() }

        private static let rules = #"""
            {"rules": [
              {"name": "api", "strategy": "token_bucket", "limit": 5, "window": "1s", "burst": 10,
               "match": {"endpoint": "/api/*"}},
              {"name": "month", "strategy": "quota", "limit": 1000, "period": "month", "timeZone": "Europe/Berlin",
               "per": ["ip"], "onStoreFailure": "deny"},
              {"name": "friends", "action": "allow", "match": {"identifier": ["ann", "192.0.2.0/24"]}},
              {"name": "Größe \"x\"", "strategy": "sliding_window", "limit": 3, "window": "1m", "mode": "shadow"}
            ]}
            """#

        private func replica() async throws -> Replica {
            let redis = try RedisServer.shared
            return try await Replica.serve(redis, "--prefix", redis.prefix())
        }

        private func apply(_ text: String, to replica: Replica, _ more: String...) async throws -> String {
            try Tree.write(text, to: file)
            let program = try Program(["rules", "apply", file, "--url", replica.url] + more)
            #expect(try await program.exitCode() == 0, "\(program.errors)")
            return program.output
        }

        private func export(_ replica: Replica) async throws -> String {
            let run = try await Program.run("rules", "export", "--url", replica.url)
            #expect(run.code == 0, "\(run.errors)")
            return run.output
        }

        private func names(_ replica: Replica) throws -> [String] {
            guard case .array(let rules)? = try replica.request("GET", "/api/rate-limits").json else { return [] }
            return rules.compactMap { if case .string(let name)? = $0["name"] { name } else { nil } }
        }

        @Test func whatIsAppliedComesOutAgain() async throws {
            let first = try await replica()
            #expect(try await apply(RuleFileTests.rules, to: first) == "4 rules changed\n")
            #expect(try names(first) == ["api", "month", "friends", "Größe \"x\""])
            #expect(try await apply(RuleFileTests.rules, to: first) == "0 rules changed\n")
            let exported = try await export(first)
            #expect(try await apply(exported, to: first) == "0 rules changed\n")
            // To another service, and back.
            let second = try await replica()
            #expect(try await apply(exported, to: second, "--prune") == "4 rules changed\n")
            #expect(try await export(second) == exported)
        }

        @Test func pruneDeletesWhatIsNotNamed() async throws {
            let replica = try await replica()
            _ = try await apply(RuleFileTests.rules, to: replica)
            let one = #"{"rules": [{"name": "api", "strategy": "token_bucket", "limit": 6, "window": "1s"}]}"#
            #expect(try await apply(one, to: replica) == "1 rule changed\n")
            #expect(try names(replica).count == 4)
            #expect(try await apply(one, to: replica, "--prune") == "3 rules changed\n")
            #expect(try names(replica) == ["api"])
            #expect(try await apply(#"{"rules": []}"#, to: replica, "--prune") == "1 rule changed\n")
            #expect(try names(replica) == [])
        }

        @Test func aWrongFileChangesNothingAndNamesTheField() async throws {
            let replica = try await replica()
            try Tree.write(RuleFileTests.rules.replacing(#""limit": 1000"#, with: #""limit": -1"#), to: file)
            let run = try await Program.run("rules", "apply", file, "--url", replica.url)
            #expect(run.code == 1)
            #expect(run.errors.contains("rules[1].limit"), "\(run.errors)")
            #expect(try names(replica) == [])
            let missing = try await Program.run("rules", "apply", folder.path + "/none", "--url", replica.url)
            #expect(missing.code == 78)
            #expect(missing.errors.contains("/none"))
        }

        // MARK: --rules FILE

        @Test func aFileIsLoadedOncePerContentOverTwoReplicas() async throws {
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            try Tree.write(RuleFileTests.rules, to: file)
            let first = try await Replica.serve(redis, "--prefix", prefix, "--rules", file, "--loops", "2")
            #expect(try names(first) == ["api", "month", "friends", "Größe \"x\""])
            // A change made since then is not undone by the second replica, which has the same content.
            #expect(try first.request("DELETE", "/api/rate-limits/month").status == 204)
            let second = try await Replica.serve(redis, "--prefix", prefix, "--rules", file)
            #expect(try names(second) == ["api", "friends", "Größe \"x\""])
            #expect(second.program.errors.contains("had been applied before"))
            // Another content is applied.
            try Tree.write(RuleFileTests.rules.replacing(#""limit": 1000"#, with: #""limit": 2000"#), to: file)
            let third = try await Replica.serve(redis, "--prefix", prefix, "--rules", file)
            #expect(try names(third).contains("month"))
            #expect(try await eventually { try names(first).contains("month") })
        }

        @Test func manyReplicasThatStartTogetherApplyAFileOnce() async throws {
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            try Tree.write(RuleFileTests.rules, to: file)
            let path = file
            let replicas = try await withThrowingTaskGroup(of: Replica.self) { group in
                for _ in 0..<4 {
                    group.addTask { try await Replica.serve(redis, "--prefix", prefix, "--rules", path) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(replicas.count { $0.program.errors.contains("\"rule file applied\"") } == 1)
            for replica in replicas { #expect(try names(replica).count == 4) }
            #expect(try redis.redis("GET", prefix + "ratelimit:{rules}:revision") == "1")
        }

        @Test func aWrongFileAtStartIs78() async throws {
            let redis = try RedisServer.shared
            for text in ["{", #"{"rules":[{"name":"x","strategy":"nonsense","limit":1,"window":"1s"}]}"#] {
                try Tree.write(text, to: file)
                let program = try Program(
                    ["serve", "--port", "0", "--redis", redis.url, "--prefix", redis.prefix(), "--rules", file])
                #expect(try await program.exitCode() == 78)
                #expect(program.errors.contains(file), "\(program.errors)")
            }
        }
    }
}

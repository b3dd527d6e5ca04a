import Glibc
import TestSupport
import Testing

/// `--socket PATH` instead of a port.
extension Fleet {
    @Suite(.serialized) struct UnixSocketTests {
        private let folder: TemporaryFolder
        private var path: String { folder.path + "/qm.sock" }

        init() throws { folder = try TemporaryFolder() }

        private func replica() async throws -> Replica {
            let redis = try RedisServer.shared
            return try await Replica.serve(redis, "--prefix", redis.prefix(), "--socket", path, "--loops", "2")
        }

        @Test func everyConnectionIsServedAndTheLimitHolds() async throws {
            let replica = try await replica()
            #expect(replica.url == "unix://" + path)
            try replica.rule(#"{"name":"ten","strategy":"token_bucket","limit":10,"window":"7d"}"#)
            // Connections are dealt out to the loops in turn.
            let connections = try (0..<8).map { _ in try replica.connect() }
            var statuses: [Int] = []
            for _ in 0..<2 {
                for connection in connections {
                    let body = #"{"identifier":"ann"}"#
                    statuses.append(try connection.request("POST", "/api/rate-limits/check", body: body).status)
                }
            }
            #expect(statuses.count { $0 == 200 } == 10)
            #expect(statuses.count { $0 == 429 } == 6)
            let rules = try await Program.run("rules", "export", "--url", replica.url)
            #expect(rules.code == 0)
            #expect(rules.output.contains("ten"))
            #expect(try await replica.program.terminate() == 0)
        }

        /// Whoever may connect is an administrator where there are no tokens.
        @Test func theSocketIsItsOwnersUnlessOthersAreNamed() async throws {
            for (arguments, expected) in [([], "600"), (["--socket-mode", "660"], "660")] {
                let redis = try RedisServer.shared
                let replica = try await Replica(
                    ["serve", "--redis", redis.url, "--prefix", redis.prefix(), "--socket", path] + arguments)
                #expect(try await Tool.run("stat", "-c", "%a", path).output == expected + "\n")
                #expect(try replica.request("GET", "/readyz").status == 200)
                #expect(try await replica.program.terminate() == 0)
            }
        }

        @Test func theSocketOfACrashedOneIsTakenOver() async throws {
            let first = try await replica()
            first.program.process.kill()
            #expect(access(path, F_OK) == 0)
            let second = try await replica()
            #expect(try second.request("GET", "/readyz").status == 200)
        }

        @Test func theSocketOfALivingOneIsRefused() async throws {
            let first = try await replica()
            let second = try Program(["serve", "--redis", try RedisServer.shared.url, "--socket", path])
            #expect(try await second.exitCode() == 69)
            #expect(second.errors.contains(path))
            #expect(try first.request("GET", "/readyz").status == 200)
        }

        @Test func aFileThatIsNoSocketIsLeftAlone() async throws {
            try Tree.write("precious", to: path)
            let program = try Program(["serve", "--redis", try RedisServer.shared.url, "--socket", path])
            #expect(try await program.exitCode() == 69)
            #expect(try Tree.read(path) == "precious")
        }

        @Test func aCleanEndRemovesTheSocket() async throws {
            let replica = try await replica()
            #expect(access(path, F_OK) == 0)
            #expect(try await replica.program.terminate() == 0)
            #expect(access(path, F_OK) != 0)
        }
    }
}

import Bytes
import Digests
import TestSupport
import Testing

/// A service that asks for tokens.
extension Fleet {
    @Suite(.serialized) struct TokenTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func replica() async throws -> Replica {
            let redis = try RedisServer.shared
            let lines = ["check", "read", "work", "admin"].map { role in
                "\(role)er \(role) \(digest("secret-" + role))"
            }
            let file = folder.path + "/tokens"
            try Tree.write("# name role sha256\n\n" + lines.joined(separator: "\n") + "\n", to: file)
            return try await Replica.serve(redis, "--tokens", file, "--prefix", redis.prefix())
        }

        private func digest(_ token: String) -> String {
            let text = ByteBuffer()
            token.withByteView { SHA256.hash($0) }.withByteView { text.append(hex: $0) }
            return text.view.string
        }

        private func bearer(_ role: String) -> [(String, String)] { [("Authorization", "Bearer secret-" + role)] }

        @Test func eachRoleMayWhatItIsFor() async throws {
            let replica = try await replica()
            let rule = #"{"name":"ten","strategy":"token_bucket","limit":10,"window":"7d"}"#
            let calls: [(String, String, String?, allowed: Set<String>)] = [
                ("POST", "/api/rate-limits", rule, ["admin"]),
                ("GET", "/api/rate-limits", nil, ["read", "work", "admin"]),
                ("GET", "/metrics", nil, ["read", "work", "admin"]),
                (
                    "POST", "/api/rate-limits/check", #"{"identifier":"ann","peek":true}"#,
                    ["check", "read", "work", "admin"]
                ),
                ("GET", "/api/rate-limits/authorize", nil, ["check", "read", "work", "admin"]),
            ]
            for (method, target, body, allowed) in calls {
                let nobody = try replica.request(method, target, body: body)
                #expect(nobody.status == 401, "\(target)")
                let stranger = try replica.request(method, target, headers: bearer("unknown"), body: body)
                #expect(stranger.status == 401, "\(target)")
                for role in ["check", "read", "work", "admin"] {
                    let answer = try replica.request(method, target, headers: bearer(role), body: body)
                    let isAllowed = (200...299).contains(answer.status)
                    #expect(isAllowed == allowed.contains(role), "\(role) \(method) \(target): \(answer.status)")
                    if !isAllowed { #expect(answer.status == 403, "\(role) \(method) \(target)") }
                }
            }
            for open in ["/healthz", "/readyz"] { #expect(try replica.request("GET", open).status == 200) }
        }

        /// Beside servers that ask for tokens a worker without them is no other door: it tells how it is, and no more.
        @Test func aWorkerWithoutTokensServesHealthAndMetricsOnly() async throws {
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            let worker = try await Replica(["work", "--redis", redis.workerURL, "--prefix", prefix])
            for path in ["/healthz", "/readyz", "/readyz?redis", "/metrics"] {
                #expect(try worker.request("GET", path).status == 200, "\(path)")
            }
            let job = #"{"name":"a","type":"simulated"}"#
            for (method, path, body) in [
                ("POST", "/api/jobs", job), ("GET", "/api/jobs", nil), ("GET", "/api/queues", nil),
                ("POST", "/api/workers/lease", #"{"worker":"w","types":["simulated"]}"#), ("GET", "/api/audit", nil),
                ("PUT", "/api/resources", #"{"cpu":1}"#), ("GET", "/api/jobs/events", nil),
            ] as [(String, String, String?)] {
                #expect(try worker.request(method, path, body: body).status == 404, "\(method) \(path)")
            }
            #expect(try await worker.program.terminate() == 0)
            // With tokens it answers those who have one, as a server does.
            let file = folder.path + "/tokens"
            try Tree.write("ops admin \(digest("secret-admin"))\n", to: file)
            let open = try await Replica([
                "work", "--redis", redis.workerURL, "--prefix", prefix, "--tokens", file,
            ])
            #expect(try open.request("GET", "/api/queues").status == 401)
            #expect(try open.request("GET", "/api/queues", headers: bearer("admin")).status == 200)
            #expect(try await open.program.terminate() == 0)
        }

        @Test func theCommandLineTakesItsTokenFromTheEnvironment() async throws {
            let replica = try await replica()
            let without = try await Program.run("rules", "export", "--url", replica.url)
            #expect(without.code == 1)
            #expect(without.errors.contains("token"))
            let with = try await Program.run(
                "rules", "export", environment: ["QM_URL": replica.url, "QM_TOKEN": "secret-read"])
            #expect(with.code == 0)
            #expect(with.output.contains("rules"))
            #expect(!(without.errors + with.errors + with.output).contains("secret-"))
        }
    }
}

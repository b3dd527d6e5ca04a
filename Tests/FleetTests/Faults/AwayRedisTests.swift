import JSON
import TestSupport
import Testing

/// Redis dies behind a load balancer: clients get what their rules say of that, from replicas that stay in.
extension Fleet {
    @Suite(.serialized) struct AwayRedisTests {
        @Test(arguments: ["nginx", "haproxy"])
        func clientsGetWhatTheirRulesSay(_ balancer: String) async throws {
            let fleet = try await FleetScript(
                "--replicas", "2", "--workers", "0", "--balancer", balancer, "--", "--check-budget", "1000")
            for (name, mode, limit) in [("open", "allow", 1000), ("shut", "deny", 1000), ("local", "local", 6)] {
                let rule = """
                    {"name":"\(name)","strategy":"token_bucket","limit":\(limit),"window":"7d","onStoreFailure":"\(mode)",
                    "match":{"endpoint":"/\(name)"}}
                    """
                #expect(try fleet.connect().request("POST", "/api/rate-limits", body: rule).status == 201)
            }
            var replicas: [HTTPConnection] = []
            for process in try await fleet.processes() where process.name.hasPrefix("server") {
                let replica = try HTTPConnection(.tcp(host: "127.0.0.1", port: process.port))
                #expect(
                    try await eventually { try replica.request("GET", "/api/rate-limits").text.contains("\"local\"") })
                replicas.append(replica)
            }
            #expect(try check(fleet, "open").json?["reason"] == .string("allowed"))

            try await fleet("kill", "redis-1")
            for replica in replicas {
                #expect(try await eventually { try replica.request("GET", "/readyz?redis").status == 503 })
            }
            if balancer == "haproxy" { try await awaitProbes(replicas) }
            for _ in 0..<20 {
                let open = try check(fleet, "open")
                #expect(open.status == 200 && open.json?["reason"] == .string("store-unavailable"), "\(open.text)")
                let shut = try check(fleet, "shut")
                #expect(shut.status == 503 && shut.json?["reason"] == .string("store-unavailable"), "\(shut.text)")
            }
            // Each replica gives its share, and then refuses: nobody but they answer.
            let statuses = try (0..<40).map { _ in try check(fleet, "local").status }
            #expect(Set(statuses) == [200, 429] && statuses.count { $0 == 200 } <= 12, "\(statuses)")
            #expect(try fleet.connect().request("GET", "/readyz").status == 200)
            #expect(try fleet.connect().request("GET", "/readyz?redis").status == 503)

            #expect(try await fleet("start", "redis-1").code == 0)
            #expect(
                try await eventually {
                    try (0..<10).allSatisfy { _ in try check(fleet, "open").json?["reason"] == .string("allowed") }
                })
        }

        private func check(_ fleet: FleetScript, _ endpoint: String) throws -> HTTPAnswer {
            try fleet.connect().request(
                "POST", "/api/rate-limits/check", body: #"{"identifier":"ann","endpoint":"/\#(endpoint)"}"#)
        }

        /// Waits until the load balancer has asked each replica how it is more often than it takes to give one up. Nobody else
        /// asks them anything meanwhile, but for us.
        private func awaitProbes(_ replicas: [HTTPConnection]) async throws {
            for replica in replicas {
                var own = 0
                func probes() throws -> Int {
                    own += 1
                    let lines = try replica.request("GET", "/metrics").text.split(separator: "\n")
                    let total = lines.first { $0.hasPrefix("quartermaster_http_requests_total ") }
                    return (total?.split(separator: " ").last.flatMap { Int($0) } ?? 0) - own
                }
                let before = try probes()
                #expect(try await eventually { try probes() >= before + 4 })
            }
        }
    }
}

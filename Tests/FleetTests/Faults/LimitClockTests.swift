import Bytes
import EventLoops
import JSON
import TestSupport
import Testing

extension Fleet {
    /// Replicas whose clocks are five minutes apart decide as one: rules of time are judged by Redis's clock.
    @Suite(.serialized) struct LimitClockTests {
        private static let offsetsMs = [-300_000, 0, 300_000]

        private static func fleet(_ redis: RedisServer) async throws -> [Replica] {
            var fleet: [Replica] = []
            for offset in offsetsMs {
                fleet.append(
                    try await Replica(
                        ["serve", "--redis", redis.url, "--check-budget", "10000"],
                        environment: ["QM_CLOCK_OFFSET_MS": String(offset)]))
            }
            return fleet
        }

        private static func number(_ answer: HTTPAnswer, _ field: String) -> Int? {
            if case .int(let number)? = answer.json?[field] { number } else { nil }
        }

        private static func text(_ answer: HTTPAnswer, _ field: String) -> String? {
            if case .string(let text)? = answer.json?[field] { text } else { nil }
        }

        private static func us(_ answer: HTTPAnswer, _ field: String) -> Int64 {
            text(answer, field)?.withByteView { Timestamp(rfc3339: $0) }?.us ?? 0
        }

        /// The offset is one of the date alone, and there.
        @Test func theDatesAreApart() async throws {
            let redis = try RedisServer()
            let dates = try await Self.fleet(redis).map { try $0.request("GET", "/healthz").header("Date") }
            #expect(Set(dates).count == 3)
        }

        @Test(arguments: [
            #""strategy":"token_bucket","limit":9,"window":"1d""#,
            #""strategy":"sliding_window","limit":9,"window":"1d""#,
            #""strategy":"sliding_window_counter","limit":9,"window":"30d""#,
            #""strategy":"fixed_window","limit":9,"window":"365d""#, #""strategy":"quota","limit":9,"period":"year""#,
            #""strategy":"quota","limit":9,"period":"week","timeZone":"Asia/Kathmandu""#,
            #""strategy":"concurrency","limit":9,"maxLeaseMs":"1h""#,
        ])
        func limitsAreOne(_ strategy: String) async throws {
            let redis = try RedisServer()
            let fleet = try await Self.fleet(redis)
            try fleet[0].rule("{\"name\":\"one\",\(strategy)}")
            #expect(
                try await eventually {
                    try fleet.allSatisfy { try $0.request("GET", "/api/rate-limits").text.contains("one") }
                })
            let connections = try fleet.map { try $0.connect() }
            var resets: [Int64] = []
            for i in 0..<15 {
                let answer = try connections[i % 3].request(
                    "POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#)
                #expect(answer.status == (i < 9 ? 200 : 429), "\(i): \(answer.text)")
                #expect(Self.number(answer, "remaining") == max(0, 8 - i))
                // A refusal is remembered, and told with Redis's time all the same.
                let resetUs = Self.us(answer, "resetTime")
                let afterMs = try #require(Self.number(answer, "resetAfterMs"))
                resets.append(resetUs - Int64(afterMs) * 1000)
            }
            // What the answers take for now is one time, that of the tests' own clock.
            let spread = resets.max()! - resets.min()!
            #expect(spread < 60_000_000 && abs(resets[0] - WallClock.nowUs()) < 60_000_000, "\(resets)")
            #expect(try fleet.allSatisfy { try $0.request("GET", "/metrics").text.contains("clock_resets_total 0") })
        }

        @Test func leasesEndByOneClock() async throws {
            let redis = try RedisServer()
            let fleet = try await Self.fleet(redis)
            try fleet[2].rule(#"{"name":"places","strategy":"concurrency","limit":1,"maxLeaseMs":"1m"}"#)
            #expect(
                try await eventually {
                    try fleet.allSatisfy { try $0.request("GET", "/api/rate-limits").text.contains("places") }
                })
            let taken = try fleet[0].request("POST", "/api/rate-limits/leases", body: #"{"identifier":"ann"}"#)
            let lease = try #require(Self.text(taken, "leaseId"), "\(taken.text)")
            for replica in fleet {
                let renewed = try replica.request("PUT", "/api/rate-limits/leases/\(lease)")
                #expect(renewed.status == 200)
                #expect(abs(Self.us(renewed, "expiresAt") - 60_000_000 - WallClock.nowUs()) < 30_000_000)
                #expect(try replica.check(#"{"identifier":"ann"}"#).status == 429)
            }
            #expect(try fleet[1].request("DELETE", "/api/rate-limits/leases/\(lease)").status == 204)
            #expect(try fleet[2].check(#"{"identifier":"ann"}"#).status == 200)
        }

        /// Of rules that match alike the older one decides, whichever replica made it.
        @Test func theOlderRuleIsTheOlderOne() async throws {
            let redis = try RedisServer()
            let fleet = try await Self.fleet(redis)
            for (i, replica) in [fleet[2], fleet[1], fleet[0]].enumerated() {
                try replica.rule(
                    "{\"name\":\"r\(i)\",\"group\":\"g\",\"strategy\":\"fixed_window\",\"limit\":\(i + 1),\"window\":\"1d\"}"
                )
            }
            #expect(
                try await eventually {
                    try fleet.allSatisfy { try $0.request("GET", "/api/rate-limits").text.contains("r2") }
                })
            for replica in fleet {
                #expect(Self.text(try replica.check(#"{"identifier":"ann","peek":true}"#), "rule") == "r0")
            }
        }
    }
}

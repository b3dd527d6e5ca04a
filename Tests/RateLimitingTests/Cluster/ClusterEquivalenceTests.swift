import JSON
import TestSupport
import Testing

extension Integration.Clusters {
    /// One by one, requests are answered on a cluster as they are on one Redis, wherever their rules lie.
    @Suite struct ClusterEquivalenceTests {
        private static let rules = [
            #"{"name":"user","strategy":"sliding_window","limit":25,"window":"1d"}"#,
            #"{"name":"user-bucket","strategy":"token_bucket","limit":30,"window":"365d","match":{"endpoint":"/a/*"}}"#,
            #"{"name":"address","strategy":"sliding_window_counter","limit":35,"window":"7d","per":["ip"]}"#,
            #"{"name":"all","strategy":"fixed_window","limit":70,"window":"365d","match":{"endpoint":"/a/*"},"per":["global"]}"#,
            #"{"name":"tier","strategy":"quota","limit":40,"period":"year","match":{"endpoint":"/b/*"},"per":["tier"]}"#,
            #"{"name":"places","strategy":"concurrency","limit":12,"maxLeaseMs":"30d","match":{"endpoint":"/b/*"},"per":["endpoint"]}"#,
            #"{"name":"watched","strategy":"fixed_window","limit":20,"window":"365d","mode":"shadow","per":["global"]}"#,
            #"{"name":"watched-user","strategy":"sliding_window","limit":9,"window":"30d","mode":"shadow"}"#,
            #"{"name":"vip","action":"allow","match":{"identifier":"vip"}}"#,
        ]

        private static func subject(_ random: inout SeededRandom) -> String {
            let identifier = random.pick(["ann", "ann", "bob", "cid", "vip", "k{1}"])
            let address = random.pick(["192.0.2.1", "192.0.2.2", "2001:db8::1"])
            let endpoint = random.pick(["/a/x", "/a/y", "/b/x", "/b/y", "/c"])
            let tier = random.pick(["free", "paid"])
            let who = random.oneIn(5) ? "" : "\"identifier\":\"\(identifier)\","
            return "\(who)\"ip\":\"\(address)\",\"endpoint\":\"\(endpoint)\",\"tier\":\"\(tier)\""
        }

        /// What a refund did, by rule. A key that says nothing is gone a moment later, so none is as good as a full one.
        private static func results(_ answer: HTTPAnswer) -> [String] {
            (answer["results"]?.elements ?? []).map { result in
                let (rule, word) = (result["rule"]?.string ?? "", result["result"]?.string ?? "")
                let limit = limits[rule] ?? 0
                let remaining = result["remaining"]?.int ?? (word == "nothing" ? limit : -1)
                return remaining == limit ? "\(rule) full" : "\(rule) \(word) \(remaining)"
            }
        }

        private static let limits = [
            "user": 25, "user-bucket": 30, "address": 35, "all": 70, "tier": 40, "places": 12, "watched": 20,
            "watched-user": 9,
        ]

        @Test func oneByOne() throws {
            let cluster = try SharedCluster.cluster
            let many = try TestServer(cluster: cluster)
            let one = try TestServer(redis: RedisServer.shared)
            for server in [many, one] { for rule in Self.rules { try server.rule(rule) } }
            let pair = (try many.connect(), try one.connect())
            var random = SeededRandom()
            var receipts: [(String, (String, String))] = []
            var leases: [(String, String)] = []
            var refused = 0
            for step in 0..<600 {
                let subject = Self.subject(&random)
                let place = "seed \(random.seed), step \(step): \(subject)"
                /// The same at both; what must be equal is.
                func both(_ target: String, _ bodies: (String, String)) throws -> (HTTPAnswer, HTTPAnswer) {
                    let first = try pair.0.request("POST", "/api/rate-limits" + target, body: bodies.0)
                    let second = try pair.1.request("POST", "/api/rate-limits" + target, body: bodies.1)
                    try #require(first.status == second.status, "\(place) \(target): \(first.text) \(second.text)")
                    return (first, second)
                }
                /// Once: the same again is answered alike.
                func giveBack(_ subject: String, _ receipt: (String, String)) throws {
                    let bodies = (
                        "{\(subject),\"receipt\":\"\(receipt.0)\"}", "{\(subject),\"receipt\":\"\(receipt.1)\"}"
                    )
                    let answers = try both("/refund", bodies)
                    try #require(
                        Self.results(answers.0) == Self.results(answers.1), "\(place): receipt of \(subject)")
                    let again = try both("/refund", bodies)
                    try #require(
                        Self.results(again.0) == Self.results(answers.0)
                            && Self.results(again.1) == Self.results(answers.1), "\(place): again")
                }
                switch random.int(0...15) {
                case 0:
                    let body = "{\(subject),\"amount\":\(random.int(1...4))}"
                    let answers = try both("/refund", (body, body))
                    try #require(Self.results(answers.0) == Self.results(answers.1), "\(place): refund")
                case 1, 2:
                    guard let (subject, receipt) = receipts.isEmpty ? nil : receipts.removeLast() else { continue }
                    try giveBack(subject, receipt)
                case 3 where random.oneIn(3):
                    let body = "{\(subject)}"
                    let answers = try both("/reset", (body, body))
                    try #require(answers.0.text == answers.1.text, "\(place): reset")
                case 4, 5:
                    guard let lease = leases.isEmpty ? nil : leases.remove(at: random.int(0...(leases.count - 1)))
                    else {
                        continue
                    }
                    let target = "/api/rate-limits/leases/"
                    let answers = try (
                        pair.0.request("DELETE", target + lease.0), pair.1.request("DELETE", target + lease.1)
                    )
                    try #require(answers.0.status == answers.1.status, "\(place): release")
                default:
                    let cost = random.oneIn(3) ? random.pick([2, 3, 5, 36]) : 1
                    let flag = random.oneIn(6) ? #","peek":true"# : random.oneIn(3) ? #","receipt":true"# : ""
                    let body = "{\(subject),\"cost\":\(cost)\(flag)}"
                    let answers = try both("/check", (body, body))
                    try #require(essence(answers.0.json) == essence(answers.1.json), "\(place) \(body)")
                    if answers.0.status == 429 { refused += 1 }
                    let receipt = answers.0["receipt"]?.string
                    try #require((receipt == nil) == (answers.1["receipt"] == nil), "\(place) \(body)")
                    if let receipt {
                        let pair = (receipt, answers.1["receipt"]?.string ?? "")
                        // What a bucket drains while receipts are kept beside one another is lost, which hangs on clocks.
                        if subject.contains("/a/") {
                            try giveBack(subject, pair)
                        } else {
                            receipts.append((subject, pair))
                        }
                    }
                    let lease = answers.0["leaseId"]?.string
                    try #require((lease == nil) == (answers.1["leaseId"] == nil), "\(place) \(body)")
                    if let lease { leases.append((lease, answers.1["leaseId"]?.string ?? "")) }
                }
            }
            #expect((1...590).contains(refused))
            #expect(try many.metric("quartermaster_ratelimit_store_failures_total") == 0)
            #expect(try many.metric("quartermaster_ratelimit_given_back_total") > 0)
            #expect(try many.metric("quartermaster_ratelimit_lost_give_backs_total") == 0)
            try expectSameRest(pair)
        }

        /// Under one key each slot gives back once, and another body changes none.
        @Test func anIdempotencyKeyOverSlots() throws {
            let server = try TestServer(cluster: try SharedCluster.cluster)
            for (name, per) in [("tier", "tier"), ("user", "identifier"), ("address", "ip"), ("all", "global")] {
                try server.rule(
                    "{\"name\":\"\(name)\",\"strategy\":\"fixed_window\",\"limit\":10,\"window\":\"366d\",\"per\":[\"\(per)\"]}"
                )
            }
            let subject = #""identifier":"ann","ip":"192.0.2.1","tier":"paid""#
            let free = subject.replacing("paid", with: "free")
            #expect(try server.check("{\(free),\"cost\":8}").remaining == 2)
            func refund(_ amount: Int) throws -> HTTPAnswer {
                try server.request(
                    "POST", "/api/rate-limits/refund", headers: [("Idempotency-Key", "k")],
                    body: "{\(subject),\"amount\":\(amount)}")
            }
            let first = try refund(3)
            #expect(first["results"]?.elements.compactMap { $0["remaining"]?.int } == [5, 5, 5], "\(first.text)")
            #expect(try refund(3).text == first.text)
            // The tier's slot has no mark, since it had nothing to give back, and is asked first.
            #expect(try server.check("{\(subject)}").remaining == 4)
            let another = try refund(2)
            #expect(another.status == 422 && another["field"]?.string == "Idempotency-Key", "\(another.text)")
            let status = try server.check("{\(subject),\"peek\":true}")
            #expect(status["policies"]?.elements.compactMap { $0["remaining"]?.int }.sorted() == [4, 4, 4, 9])
        }

        /// Status, a simulation of all rules, and a bulk that peeks at everybody.
        private func expectSameRest(_ pair: (HTTPConnection, HTTPConnection)) throws {
            for who in ["ann", "bob", "cid"] {
                for endpoint in ["/a/x", "/b/y"] {
                    let target = "/api/rate-limits/status?identifier=\(who)&endpoint=\(endpoint)&ip=192.0.2.1&tier=free"
                    let answers = try (pair.0.request("GET", target), pair.1.request("GET", target))
                    #expect(answers.0.status == 200 && essence(answers.0.json) == essence(answers.1.json))
                }
            }
            let requests = (0..<40).map { i in
                "{\"atMs\":\(i * 1000),\"identifier\":\"u\(i % 3)\",\"ip\":\"192.0.2.\(i % 2)\",\"endpoint\":\"/a/x\"}"
            }
            let simulation =
                "{\"rules\":[\(Self.rules.joined(separator: ","))],\"requests\":[\(requests.joined(separator: ","))]}"
            let simulated = try (
                pair.0.request("POST", "/api/rate-limits/simulate", body: simulation),
                pair.1.request("POST", "/api/rate-limits/simulate", body: simulation)
            )
            #expect(simulated.0.status == 200 && simulated.0.text == simulated.1.text)
            let checks = (0..<300).map { i in
                "{\"identifier\":\"u\(i)\",\"ip\":\"192.0.2.\(i % 200)\",\"endpoint\":\"/c\"}"
            }
            let bulk = "[\(checks.joined(separator: ","))]"
            let answers = try (
                pair.0.request("POST", "/api/rate-limits/check/bulk", body: bulk),
                pair.1.request("POST", "/api/rate-limits/check/bulk", body: bulk)
            )
            let decisions = answers.0["decisions"]?.elements ?? []
            #expect(decisions.count == 300)
            // Shadow rules count whatever comes first, and many arrive at once.
            let allowed = decisions.count { $0["allowed"]?.bool == true }
            #expect(allowed == answers.1["decisions"]?.elements.count { $0["allowed"]?.bool == true })
        }
    }
}

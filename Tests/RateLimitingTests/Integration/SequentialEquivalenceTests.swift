import JSON
import TestSupport
import Testing

extension Integration {
    /// Whatever is coalesced, composed or remembered: a burst is answered as the same requests would be, one by one.
    @Suite struct SequentialEquivalenceTests {
        private static let rules = [
            #"{"name":"bucket","strategy":"token_bucket","limit":20,"window":"1d","match":{"endpoint":"/a/*"}}"#,
            #"{"name":"log","strategy":"sliding_window","limit":9,"window":"1d","match":{"endpoint":"/a/x"}}"#,
            #"{"name":"counter","strategy":"sliding_window_counter","limit":15,"window":"7d","match":{"endpoint":"/b/*"},"per":["identifier","endpoint"]}"#,
            #"{"name":"window","strategy":"fixed_window","limit":60,"window":"365d","match":{"endpoint":"/b/*"},"per":["global"]}"#,
            #"{"name":"year","strategy":"quota","limit":30,"period":"year","match":{"endpoint":"/c"}}"#,
            #"{"name":"shadow","strategy":"fixed_window","limit":4,"window":"365d","mode":"shadow","match":{"endpoint":"/a/*"}}"#,
            #"{"name":"alone","strategy":"fixed_window","limit":6,"window":"365d","match":{"endpoint":"/d"}}"#,
            #"{"name":"vip","action":"allow","match":{"identifier":"vip"}}"#,
            #"{"name":"out","action":"deny","match":{"endpoint":"/b/out"}}"#,
        ]

        /// One request by itself. Peeking comes first: it is never answered from memory, so a refusal is Redis's own word.
        private static func ask(_ connection: HTTPConnection, _ request: String) throws -> JSONValue? {
            let peek = request.contains("peek") ? request : request.dropLast() + #","peek":true}"#
            let truth = try connection.request("POST", "/api/rate-limits/check", body: peek)
            if peek == request || truth.isAllowed == false { return truth.json }
            return try connection.request("POST", "/api/rate-limits/check", body: request).json
        }

        private static func request(_ random: inout SeededRandom) -> String {
            let cost = random.oneIn(3) ? random.pick([2, 3, 5, 21]) : 1
            let identifier = random.pick(["ann", "ann", "bob", "vip", "k{1}"])
            let endpoint = random.pick(["/a/x", "/a/y", "/b/x", "/b/y", "/b/out", "/c", "/d", "/d", "/none"])
            let peek = random.oneIn(8) ? #","peek":true"# : ""
            return "{\"identifier\":\"\(identifier)\",\"endpoint\":\"\(endpoint)\",\"cost\":\(cost)\(peek)}"
        }

        @Test func burstsEqualOneByOne() throws {
            let redis = try RedisServer()
            var random = SeededRandom()
            for round in 0..<8 {
                // One answers bursts, the other the same requests singly; they share nothing but the Redis.
                let bursts = try TestServer(redis: redis)
                let single = try TestServer(redis: redis)
                for server in [bursts, single] { for rule in Self.rules { try server.rule(rule) } }
                let (many, one) = (try bursts.connect(), try single.connect())
                for step in 0..<12 {
                    let requests = (0..<random.int(1...60)).map { _ in Self.request(&random) }
                    let place = "seed \(random.seed), round \(round), step \(step)"
                    let bulk = try many.request(
                        "POST", "/api/rate-limits/check/bulk",
                        body: "{\"checks\":[\(requests.joined(separator: ","))]}")
                    let decisions = bulk["decisions"]?.elements ?? []
                    try #require(decisions.count == requests.count, "\(place): \(bulk.text)")
                    for (i, request) in requests.enumerated() {
                        let (burst, alone) = (essence(decisions[i]), essence(try Self.ask(one, request)))
                        try #require(burst == alone, "\(place), request \(i): \(request)")
                    }
                    try giveBack(many, one, &random, place)
                }
            }
        }

        /// Refunds and resets between the bursts.
        private func giveBack(
            _ many: HTTPConnection, _ one: HTTPConnection, _ random: inout SeededRandom, _ place: String
        ) throws {
            guard random.oneIn(2) else { return }
            let isReset = random.oneIn(4)
            let identifier = random.pick(["ann", "bob", "k{1}"])
            let endpoint = random.pick(["/a/x", "/b/x", "/c", "/d"])
            let amount = isReset ? "" : ",\"amount\":\(random.int(1...6))"
            let body = "{\"identifier\":\"\(identifier)\",\"endpoint\":\"\(endpoint)\"\(amount)}"
            let target = "/api/rate-limits/" + (isReset ? "reset" : "refund")
            let first = try many.request("POST", target, body: body)
            let second = try one.request("POST", target, body: body)
            #expect(first.status == 200 && first.text == second.text, "\(place): \(target) \(body) \(first.text)")
        }
    }
}

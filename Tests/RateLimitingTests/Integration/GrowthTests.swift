import EventLoops
import JSON
import Services
import TestSupport
import Testing

@testable import RateLimiting

extension Integration {
    /// What a client can make grow has an end, which it is told by name.
    @Suite struct GrowthTests {
        private func expect(_ answer: HTTPAnswer, _ status: Int, field: String? = nil, _ words: String) {
            #expect(answer.status == status && answer["field"]?.string == field, "\(answer.text.prefix(300))")
            #expect(answer["detail"]?.string?.contains(words) == true, "\(answer.text.prefix(300))")
        }

        private func list(_ count: Int, _ element: (Int) -> String) -> String {
            "[" + (0..<count).map(element).joined(separator: ",") + "]"
        }

        @Test func listsInOneRequest() throws {
            let server = try TestServer(redis: RedisServer.shared)
            let connection = try server.connect()
            func post(_ target: String, _ body: String) throws -> HTTPAnswer {
                try connection.request("POST", "/api/rate-limits" + target, body: body)
            }
            let rule = #"{"name":"r","strategy":"fixed_window","limit":1,"window":"1d"}"#
            let bulk = try post("/check/bulk", list(1001) { "{\"identifier\":\"u\($0)\"}" })
            expect(bulk, 400, field: "checks", "1 to 1000")
            let requests = try post("/simulate", "{\"rule\":\(rule),\"requests\":\(list(1001) { _ in "{}" })}")
            expect(requests, 400, field: "requests", "at most 1000")
            let rules = try post("/simulate", "{\"rules\":\(list(101) { _ in rule }),\"requests\":[{}]}")
            expect(rules, 400, field: "rules", "at most 100")
            let names = list(10_001) { "\"u\($0)\"" }
            let matched = try post(
                "", "{\"name\":\"m\",\"action\":\"deny\",\"match\":{\"identifier\":\(names)}}")
            expect(matched, 400, field: "match.identifier", "at most 10000")
            for strategy in [#""sliding_window","window":"1d""#, #""concurrency","maxLeaseMs":"1m""#] {
                let answer = try post("", "{\"name\":\"s\",\"limit\":10001,\"strategy\":\(strategy)}")
                expect(answer, 400, field: "limit", "at most 10000")
            }
            expect(
                try post("/check", "{\"identifier\":\"\(String(repeating: "x", count: 1025))\"}"), 400,
                field: "identifier", "at most 1024")
            expect(
                try post("/check", "{\"identifier\":\"a\",\"endpoint\":\"\(String(repeating: "x", count: 2049))\"}"),
                400, field: "endpoint", "at most 2048")
            expect(
                try post("/refund", "{\"identifier\":\"a\",\"receipt\":\"\(String(repeating: "1", count: 8193))\"}"),
                400, field: "receipt", "8192")
        }

        @Test func rules() throws {
            let full = Samples.set(
                try (0..<RuleStore.mostRules).map { try Samples.rule("r\($0)", #""action":"deny""#) })
            let one = try Samples.draft(#"{"name":"more","action":"deny"}"#)
            for changes in [
                { _ = try RuleChanges.create(one, in: full) },
                { _ = try RuleChanges.apply([one], to: full, prunes: false) },
            ] as [() throws -> Void] {
                let problem = #expect(throws: Problem.self) { try changes() }
                #expect(problem?.kind == .conflict && problem?.detail.contains("10000 rules") == true)
            }
            _ = try RuleChanges.create(one, in: Samples.set(Array(full.rules.dropFirst())))
            let file = JSONValue.array(Array(repeating: .object([]), count: RuleStore.mostRules + 1))
            let problem = #expect(throws: Problem.self) { try RuleChanges.drafts(.object([.init("rules", file)])) }
            #expect(problem?.field == "rules")
        }

        /// All rules are read at once by every loop, so what they are together has an end as well.
        @Test func theSizeOfAllRules() throws {
            let rules = try (0..<3).map { try Samples.rule("r\($0)") }
            let size = rules[0].stored.text().utf8.count
            let store = Samples.set(rules)
            let fresh = RuleStore.Change.put(try Samples.rule("fresh"))
            try RuleStore.checkSize([fresh], in: store, most: 5 * size)
            let problem = #expect(throws: Problem.self) {
                try RuleStore.checkSize([fresh], in: store, most: 4 * size - 1)
            }
            #expect(problem?.kind == .conflict)
            // A change that makes them smaller is taken however large they are.
            try RuleStore.checkSize([.put(rules[0])], in: store, most: size)
            try RuleStore.checkSize([.delete(id: "r1")], in: store, most: size)
        }

        /// A long simulation is read off the loop: others are answered meanwhile.
        @Test func aLongSimulationHoldsUpNobody() throws {
            let server = try TestServer(redis: RedisServer.shared)
            let rules = list(100) { i in
                let names = list(2700) { "\"user:u\(i)-\($0)\"" }
                return "{\"name\":\"r\(i)\",\"action\":\"deny\",\"match\":{\"identifier\":\(names)}}"
            }
            let body = "{\"rules\":\(rules),\"requests\":[{\"userId\":\"u7-7\"}]}"
            #expect(body.utf8.count > 3_000_000 && body.utf8.count < 4 << 20)
            let statuses = Journal<Int>()
            Threads.start("simulation") {
                let answer = try? server.request("POST", "/api/rate-limits/simulate", body: body)
                statuses.add(answer?.reason == nil ? answer?.status ?? 0 : -1)
            }
            let connection = try server.connect()
            var answers = 0
            let isDone = try blockingUntil {
                if statuses.count == 0, try connection.request("GET", "/healthz").status == 200 { answers += 1 }
                return statuses.count == 1
            }
            #expect(isDone && statuses.all == [200])
            #expect(answers >= 10, "\(answers)")
        }

        /// The answer to a simulation under many rules has an end as well.
        @Test func theAnswerToASimulation() throws {
            let server = try TestServer(redis: RedisServer.shared)
            let rules = list(100) {
                let name = String(repeating: "n", count: 120) + "\($0)"
                return "{\"name\":\"\(name)\",\"strategy\":\"fixed_window\",\"limit\":1,\"window\":\"1d\"}"
            }
            let body = "{\"rules\":\(rules),\"requests\":\(list(1000) { "{\"identifier\":\"u\($0)\"}" })}"
            let answer = try server.request("POST", "/api/rate-limits/simulate", body: body)
            expect(answer, 422, field: "requests", "8388608 bytes")
            #expect(try RedisServer.shared.redis("KEYS", server.prefix + "simulate:*") == "")
        }

        /// Keys per identifier: a name of any length makes a short key, and a request that is refused makes none, so a
        /// rule per identifier bounds those that clients name endpoints for.
        @Test func keysOfOneIdentifier() throws {
            let redis = try RedisServer()
            let server = try TestServer(redis: redis)
            try server.rule(#"{"name":"all","strategy":"fixed_window","limit":20,"window":"365d"}"#)
            try server.rule(
                #"{"name":"each","strategy":"sliding_window","limit":5,"window":"1d","per":["identifier","endpoint"]}"#)
            let connection = try server.connect()
            var allowed = 0
            for i in 0..<200 {
                let endpoint = "/" + String(repeating: "long", count: 500) + "\(i)"
                let answer = try connection.request(
                    "POST", "/api/rate-limits/check", body: "{\"identifier\":\"ann\",\"endpoint\":\"\(endpoint)\"}")
                if answer.isAllowed == true { allowed += 1 }
            }
            #expect(allowed == 20)
            let keys = try redis.redis("KEYS", server.prefix + "ratelimit:{id:ann}*").split(separator: "\n")
            #expect(keys.count == 21 && keys.allSatisfy { $0.utf8.count < 400 })
        }
    }
}

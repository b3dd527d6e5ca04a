import JSON
import TestSupport
import Testing

extension Integration {
    /// A call that gives back and comes again gives back nothing more.
    @Suite struct GiveBackTests {
        private static let strategies = [
            #""strategy":"token_bucket","limit":10,"window":"1d""#,
            #""strategy":"fixed_window","limit":10,"window":"366d""#,
            #""strategy":"sliding_window","limit":10,"window":"1d""#,
            #""strategy":"sliding_window_counter","limit":10,"window":"366d""#,
            #""strategy":"quota","limit":10,"period":"year""#,
        ]

        @Test(arguments: strategies)
        func aReceiptIsGivenBackOnce(strategy: String) throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            let other = try TestServer(redis: redis, prefix: server.prefix)
            try server.rule("{\"name\":\"r\",\(strategy)}")
            #expect(try other.knows(rules: 1))
            let decision = try server.check(#"{"identifier":"ann","cost":4,"receipt":true}"#)
            let receipt = try #require(decision["receipt"]?.string)
            #expect(try server.check(#"{"identifier":"ann","cost":6}"#).remaining == 0)
            func refund(_ server: TestServer, _ more: String = "", key: String? = nil) throws -> HTTPAnswer {
                try server.request(
                    "POST", "/api/rate-limits/refund", headers: key.map { [("Idempotency-Key", $0)] } ?? [],
                    body: "{\"identifier\":\"ann\",\"receipt\":\"\(receipt)\"\(more)}")
            }
            #expect(try refund(server, #","amount":3"#)["field"]?.string == "amount")
            let first = try refund(server, #","amount":4"#)
            #expect(first["results"]?.elements.first?["remaining"]?.int == 4, "\(first.text)")
            #expect(try server.check(#"{"identifier":"ann","cost":1}"#).remaining == 3)
            for (replica, key) in [(server, nil), (other, nil), (server, "k"), (other, "l")] {
                let again = try refund(replica, key: key)
                #expect(again.status == 200 && again.text == first.text)
            }
            #expect(try server.check(#"{"identifier":"ann","peek":true}"#).remaining == 3)
            try expectMarks(redis, server, count: 1)
        }

        @Test(arguments: strategies)
        func anIdempotencyKeyGivesBackOnce(strategy: String) throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis)
            let other = try TestServer(redis: redis, prefix: server.prefix)
            // A second rule, which counts the same: each has a mark.
            for name in ["r", "s"] { try server.rule("{\"name\":\"\(name)\",\(strategy)}") }
            #expect(try other.knows(rules: 2))
            func refund(_ server: TestServer, _ amount: Int, key: String = "k") throws -> HTTPAnswer {
                try server.request(
                    "POST", "/api/rate-limits/refund", headers: [("Idempotency-Key", key)],
                    body: "{\"identifier\":\"ann\",\"amount\":\(amount)}")
            }
            // What had no effect is judged anew.
            #expect(try refund(server, 2).text.contains("nothing"))
            #expect(try server.check(#"{"identifier":"ann","cost":9}"#).remaining == 1)
            let first = try refund(server, 3)
            #expect(first["results"]?.elements.map { $0["remaining"]?.int } == [4, 4], "\(first.text)")
            #expect(try server.check(#"{"identifier":"ann","cost":1}"#).remaining == 3)
            for replica in [server, other] {
                #expect(try refund(replica, 3).text == first.text)
                let another = try refund(replica, 2)
                #expect(another.status == 422 && another["field"]?.string == "Idempotency-Key", "\(another.text)")
            }
            #expect(try server.check(#"{"identifier":"ann","peek":true}"#).remaining == 3)
            try expectMarks(redis, server, count: 2)
            #expect(try refund(other, 3, key: "l")["results"]?.elements.last?["remaining"]?.int == 6)
            let long = try refund(server, 1, key: String(repeating: "k", count: 256))
            #expect(long.status == 400 && long["field"]?.string == "Idempotency-Key")
        }

        /// Requests that came in one call have receipts of their own.
        @Test func requestsOfOneCall() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(#"{"name":"r","strategy":"fixed_window","limit":1000,"window":"366d"}"#)
            let crowd = try Crowd([server], count: 40)
            let check = #"{"identifier":"ann","cost":2,"receipt":true}"#
            var receipts: [String] = []
            try crowd.post("/api/rate-limits/check", Array(repeating: check, count: 400)) { answer in
                receipts.append(try #require(answer["receipt"]?.string))
            }
            #expect(Set(receipts).count == 400)
            let refunds = receipts.map { "{\"identifier\":\"ann\",\"receipt\":\"\($0)\"}" }
            try crowd.post("/api/rate-limits/refund", refunds + refunds) { #expect($0.text.contains("refunded")) }
            let rest = try server.check(#"{"identifier":"ann","peek":true}"#)
            #expect(rest.remaining == 1000, "\(rest.text)")
        }

        /// What drained at another rate is not known by the present one.
        @Test func aChangedBucketTakesNoEarlierReceipt() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            try server.rule(#"{"name":"r","strategy":"token_bucket","limit":10,"window":"1d"}"#)
            let receipt = try #require(try server.check(#"{"identifier":"ann","receipt":true}"#)["receipt"]?.string)
            let slower = #"{"name":"r","strategy":"token_bucket","limit":1,"window":"1d","burst":10}"#
            #expect(try server.request("PUT", "/api/rate-limits/r", body: slower).status == 200)
            let refund = try server.request(
                "POST", "/api/rate-limits/refund", body: "{\"identifier\":\"ann\",\"receipt\":\"\(receipt)\"}")
            #expect(refund["results"]?.elements.first?["result"]?.string == "void", "\(refund.text)")
            #expect(try server.check(#"{"identifier":"ann","peek":true}"#).remaining == 9)
        }

        /// What is remembered ends by itself.
        private func expectMarks(_ redis: RedisServer, _ server: TestServer, count: Int) throws {
            let marks = try redis.redis("KEYS", server.prefix + "*:refunded:*").split(separator: "\n")
            #expect(marks.count == count)
            for mark in marks {
                let lifeMs = Int(try redis.redis("PTTL", String(mark))) ?? -1
                #expect((1...2 * 366 * 86_400_000).contains(lifeMs), "\(mark)")
            }
        }

        /// A counter that somebody deletes in Redis is forgotten by those as well who remember a refusal, within a second;
        /// `reset` is heard at once.
        @Test(arguments: strategies)
        func whatIsDeletedByHandIsForgotten(strategy: String) throws {
            let redis = try RedisServer.shared
            let server = try TestServer(redis: redis, loops: 2)
            try server.rule("{\"name\":\"r\",\(strategy)}")
            let connections = try (0..<8).map { _ in try server.connect() }
            func check(_ connection: HTTPConnection) throws -> HTTPAnswer {
                try connection.request("POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#)
            }
            #expect(try server.check(#"{"identifier":"ann","cost":10}"#).remaining == 0)
            for _ in 0..<3 { for connection in connections { #expect(try check(connection).status == 429) } }
            #expect(try server.metric("quartermaster_ratelimit_cached_denials_total") > 0)
            try redis.redis("DEL", "\(server.prefix)ratelimit:{id:ann}:r:1")
            for connection in connections {
                #expect(try blockingUntil { try check(connection).isAllowed == true })
            }
            let reset = try server.request("POST", "/api/rate-limits/reset", body: #"{"identifier":"ann"}"#)
            #expect(reset.status == 200)
            #expect(try server.check(#"{"identifier":"ann","peek":true}"#).remaining == 10)
        }
    }
}

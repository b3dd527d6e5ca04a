import EventLoops
import TestSupport
import Testing

/// Tests of real processes. Each stops, kills or floods what it starts, so they run one after another.
@Suite(.serialized) struct Fleet {}

/// What the client of a site sees that nginx serves and Quartermaster guards.
extension Fleet {
    @Suite(.serialized) struct SiteTests {
        @Test(arguments: [Site.Lines.deploy, .readme])
        func theLimitHoldsAtTheSite(_ lines: Site.Lines) async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            try replica.rule(#"{"name":"pages","strategy":"token_bucket","limit":5,"window":"7d"}"#)
            let site = try await Site([replica], lines)
            let connection = try site.connect()
            for i in 0..<5 {
                let answer = try connection.request("GET", "/page", headers: [("X-User-Id", "made-up-\(i)")])
                #expect(answer.status == 200)
                #expect(answer.text == "the page\n")
            }
            for _ in 0..<3 {
                let answer = try connection.request("GET", "/page")
                #expect(answer.status == 429)
                // One token of five in seven days comes back every 120,960 s.
                let retryS = try #require(answer.header("Retry-After").flatMap { Int($0) })
                #expect((120_900...120_960).contains(retryS))
                #expect(!answer.text.contains("the page"))
            }
        }

        /// nginx leads `/` on to its index page inside, which is no second request.
        @Test(arguments: [Site.Lines.deploy, .readme])
        func anIndexPageCountsOnce(_ lines: Site.Lines) async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            try replica.rule(#"{"name":"pages","strategy":"fixed_window","limit":3,"window":"7d"}"#)
            let site = try await Site([replica], lines)
            for _ in 0..<3 {
                let answer = try site.get("/")
                #expect(answer.status == 200 && answer.text == "the index.html\n")
            }
            #expect(try site.get("/").status == 429)
            #expect(!site.log.contains("uninitialized"), "\(site.log)")
        }

        /// Headers by which a client could say that it is someone else, or asks for something else.
        @Test(arguments: [
            ("X-API-Key", "made-up-"), ("X-User-Id", "u"), ("X-Forwarded-For", "192.0.2."), ("X-Tier", "gold"),
            ("Forwarded", "for=192.0.2."), ("X-Original-URI", "/open?"), ("X-Original-Method", "POST"),
            ("X-Forwarded-Uri", "/open?"),
        ])
        func aClientCannotSayWhoItIs(_ header: String, _ value: String) async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            try replica.rule(
                #"{"name":"pages","strategy":"token_bucket","limit":3,"window":"7d","match":{"endpoint":"/page"}}"#)
            let site = try await Site([replica])
            let statuses = try (1...5).map { try site.get("/page", headers: [(header, value + String($0))]).status }
            #expect(statuses == [200, 200, 200, 429, 429])
        }

        /// Ways of writing a path that nginx takes for the same file.
        @Test func aPathWrittenOtherwiseIsTheSamePath() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            try replica.rule(
                #"{"name":"page","strategy":"token_bucket","limit":2,"window":"7d","match":{"endpoint":"/page"}}"#)
            let site = try await Site([replica])
            for path in ["/page", "/page?x=1"] { #expect(try site.get(path).status == 200) }
            for path in ["/p%61ge", "//page", "/./page", "/x/../page", "/x//../page", "/x/%2e%2e/page", "/%2Fpage"] {
                #expect(try site.get(path).status == 429, "\(path)")
            }
            #expect(try site.get("/open").status == 200)
        }

        /// Redis stopped: each rule's failure mode decides. Redis back: the limits hold again.
        @Test func withRedisStoppedTheClientSeesTheFailureMode() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, budgetMs: 50)
            // Calls that Redis did not answer in time may be counted when it goes on: the second rule has room for them.
            for (name, mode, limit) in [("open", "allow", 4), ("closed", "deny", 1000), ("local", "local", 4)] {
                try replica.rule(
                    """
                    {"name":"\(name)","strategy":"token_bucket","limit":\(limit),"window":"7d","onStoreFailure":"\(mode)",
                    "match":{"endpoint":"/\(name)"}}
                    """)
            }
            let site = try await Site([replica])
            for path in ["/open", "/closed", "/local"] { #expect(try site.get(path).status == 200) }

            redis.pause()
            defer { redis.resume() }
            for _ in 0..<20 { #expect(try site.get("/open").status == 200) }
            for _ in 0..<20 {
                let answer = try site.get("/closed")
                #expect(answer.status == 429)
                #expect(answer.header("Retry-After") == "1")
            }
            // One replica alone has the whole limit as its share.
            let statuses = try (0..<6).map { _ in try site.get("/local").status }
            #expect(statuses == [200, 200, 200, 200, 429, 429])

            redis.resume()
            #expect(try await eventually { try isNormal(site) })
            // A bucket of four, three at most left: it counts again when it refuses.
            #expect(try await eventually { try site.get("/open").status == 429 })
            #expect(!site.log.contains("unexpected status"), "\(site.log)")
        }

        @Test func withRedisKilledAndRestartedNothingOfOursNeedsARestart() async throws {
            let redis = try RedisServer(options: .init(isPersistent: true))
            let replica = try await Replica.serve(redis, budgetMs: 50)
            try replica.rule(
                #"{"name":"closed","strategy":"token_bucket","limit":1000,"window":"7d","onStoreFailure":"deny"}"#)
            let site = try await Site([replica])
            #expect(try site.get("/closed").status == 200)
            redis.kill()
            #expect(try site.get("/closed").status == 429)
            try redis.restart()
            #expect(try await eventually { try isNormal(site) })
        }

        /// Whether Redis decides again on every loop of the replica: nginx keeps connections to each.
        private func isNormal(_ site: Site) throws -> Bool {
            try (0..<10).allSatisfy { _ in try site.get("/closed").status == 200 }
        }

        @Test func withoutAnyReplicaRequestsAreLetThrough() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            let site = try await Site([replica])
            #expect(try site.get("/page").status == 200)
            replica.program.process.kill()
            #expect(try site.get("/page").status == 200)
            #expect(try site.get("/page").status == 200)
        }
    }
}

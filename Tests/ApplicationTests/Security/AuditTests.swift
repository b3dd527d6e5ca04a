import JSON
import Services
import TestSupport
import Testing

extension Security {
    /// What administrators change is written down: who, what, when, how it ended.
    @Suite struct AuditTests {
        private static let rule = #"{"name":"r","strategy":"token_bucket","limit":10,"window":"1d"}"#
        private static let file =
            tokenLine("ops", "admin", "ops-token") + tokenLine("ann", "read", "anns-token")

        private func server(_ redis: RedisServer? = nil) throws -> TestServer {
            try TestServer(redis: try redis ?? RedisServer.shared, tokens: try Tokens(file: Self.file))
        }

        private func send(
            _ server: TestServer, _ method: String, _ path: String, _ body: String? = nil,
            headers: [(String, String)] = [], token: String = "ops-token"
        ) throws -> HTTPAnswer {
            try server.request(method, path, headers: bearer(token) + headers, body: body)
        }

        private func entries(_ server: TestServer, _ query: String = "") throws -> [JSONValue] {
            let answer = try send(server, "GET", "/api/audit" + query)
            guard answer.status == 200, let json = answer.json else { throw SetUpFailure("\(answer.status)") }
            return json.elements
        }

        /// Waits until there are so many; an entry is written after its answer.
        private func entries(_ server: TestServer, count: Int) async throws -> [JSONValue] {
            var list: [JSONValue] = []
            let isThere = try await eventually {
                list = try entries(server)
                return list.count >= count
            }
            #expect(isThere && list.count == count, "\(list.map { $0.text() })")
            return list
        }

        private func line(_ entry: JSONValue) -> String {
            ["who", "role", "method", "route", "subject", "before", "after", "status"].map { name in
                switch entry[name] {
                case .string(let text): text
                case .int(let number): String(number)
                default: "-"
                }
            }.joined(separator: " ")
        }

        @Test func changesAreWrittenDownAndNothingElseIs() async throws {
            let server = try server()
            let startUs = try RedisServer.shared.redis("TIME").split(separator: "\n").compactMap { Int($0) }
            #expect(
                try send(server, "POST", "/api/rate-limits", Self.rule, headers: [("X-Request-Id", "one")]).status
                    == 201)
            let changed = Self.rule.replacing("10", with: "11")
            #expect(
                try send(server, "PUT", "/api/rate-limits/r", changed, headers: [("If-Match", "\"1\"")]).status == 200)
            #expect(
                try send(server, "PUT", "/api/rate-limits/r", changed, headers: [("If-Match", "\"1\"")]).status == 412)
            #expect(try send(server, "PUT", "/api/rate-limits/r", #"{"secret":"s3cret"}"#).status == 400)
            #expect(try send(server, "DELETE", "/api/rate-limits/none").status == 404)
            #expect(try send(server, "DELETE", "/api/rate-limits/r").status == 204)
            #expect(try send(server, "POST", "/api/rate-limits/reset", #"{"identifier":"x"}"#).status == 200)
            // Reading, deciding and being turned away change nothing.
            #expect(try send(server, "GET", "/api/rate-limits").status == 200)
            #expect(try send(server, "POST", "/api/rate-limits/check", #"{"identifier":"x"}"#).status == 200)
            #expect(try send(server, "POST", "/api/rate-limits", Self.rule, token: "anns-token").status == 403)
            #expect(try send(server, "POST", "/api/rate-limits", Self.rule, token: "nobodys").status == 401)
            let list = try await entries(server, count: 7)
            #expect(
                list.reversed().map(line) == [
                    "ops admin POST /api/rate-limits r - 1 201", "ops admin PUT /api/rate-limits/{id} r 1 2 200",
                    "ops admin PUT /api/rate-limits/{id} r - - 412", "ops admin PUT /api/rate-limits/{id} r - - 400",
                    "ops admin DELETE /api/rate-limits/{id} none - - 404",
                    "ops admin DELETE /api/rate-limits/{id} r 1 - 204".replacing("r 1", with: "r 2"),
                    "ops admin POST /api/rate-limits/reset - - - 200",
                ])
            #expect(list.last?["requestId"]?.string == "one" && list.last?["address"]?.string == "127.0.0.1")
            // By Redis's clock, which names the entries.
            let ms = Int(list[0]["id"]?.string?.split(separator: "-").first ?? "") ?? 0
            #expect(ms >= startUs[0] * 1000)
            let all = list.map { $0.text() }.joined()
            #expect(!all.contains("s3cret") && !all.contains("ops-token"))
        }

        @Test func onlyAdministratorsReadIt() throws {
            let server = try server()
            #expect(try send(server, "GET", "/api/audit", token: "anns-token").status == 403)
            #expect(try send(server, "GET", "/api/audit", token: "nobodys").status == 401)
            #expect(try entries(server).isEmpty)
        }

        @Test func itIsReadInPages() async throws {
            let server = try server()
            for i in 0..<5 { _ = try send(server, "DELETE", "/api/rate-limits/none-\(i)") }
            _ = try await entries(server, count: 5)
            var subjects: [String] = []
            var path: String? = "/api/audit?limit=2"
            while let next = path {
                let answer = try send(server, "GET", next)
                subjects += answer.json?.elements.compactMap { $0["subject"]?.string } ?? []
                path = answer.header("Link").map { String($0.dropFirst().prefix { $0 != ">" }) }
            }
            #expect(subjects == ["none-4", "none-3", "none-2", "none-1", "none-0"])
            for query in ["?cursor=x", "?cursor=-", "?cursor=1", "?cursor=1-%2b", "?limit=0", "?limit=1001"] {
                #expect(try send(server, "GET", "/api/audit" + query).status == 400, "\(query)")
            }
        }

        @Test func itDoesNotGrowWithoutEnd() async throws {
            let server = try server()
            let key = server.prefix + "audit"
            let redis = try RedisServer.shared.connect()
            for _ in 0..<12_000 { _ = try redis.command(["XADD", key, "*", "who", "before"]) }
            _ = try send(server, "DELETE", "/api/rate-limits/none")
            let isTrimmed = try await eventually {
                let count = Int(try RedisServer.shared.redis("XLEN", key)) ?? 0
                return count < 10_500
            }
            #expect(isTrimmed)
            #expect(Int(try RedisServer.shared.redis("XLEN", key)) ?? 0 >= 10_000)
        }

        /// What is under way when a server ends is written before it has ended.
        @Test func nothingIsLostAtTheEnd() throws {
            let redis = try RedisServer()
            let server = try server(redis)
            let connections = try (0..<20).map { _ in try server.connect() }
            for connection in connections {
                try connection.send([
                    HTTPConnection.encode("DELETE", "/api/rate-limits/none", headers: bearer("ops-token"))
                ])
            }
            for connection in connections { #expect(try connection.receive().status == 404) }
            server.stop()
            #expect(try redis.redis("XLEN", server.prefix + "audit") == "20")
        }

        @Test func aPathAsLongAsItMayBeIsCut() async throws {
            let server = try server()
            let name = String(repeating: "a", count: 10_000)
            #expect(try send(server, "DELETE", "/api/rate-limits/\(name)").status == 404)
            let list = try await entries(server, count: 1)
            #expect(list[0]["subject"]?.string?.utf8.count == 256)
        }
    }

    @Suite struct StrangerTests {
        /// Guessing has an end; whoever has a token is not held up by it.
        @Test func wrongTokensHaveAnEnd() throws {
            let tokens = try Tokens(file: tokenLine("ann", "read", "anns-token"))
            let server = try TestServer(redis: try RedisServer.shared, tokens: tokens)
            var statuses: [Int] = []
            var last: HTTPAnswer?
            for i in 0..<130 {
                let answer = try server.request("GET", "/api/rate-limits", headers: bearer("guess-\(i)"))
                statuses.append(answer.status)
                last = answer
            }
            #expect(statuses.prefix(100).allSatisfy { $0 == 401 })
            #expect(statuses.contains(429))
            #expect(Set(statuses) == [401, 429])
            if last?.status == 429 {
                #expect(last?.header("Retry-After") == "1" && last?.header("Connection") == "close")
            }
            #expect(try server.request("GET", "/api/rate-limits", headers: bearer("anns-token")).status == 200)
            let text = try server.request("GET", "/metrics", headers: bearer("anns-token")).text
            #expect(text.contains("quartermaster_http_unauthenticated_total 130"))
        }

        /// One address is not another's: behind a proxy each client has its own.
        @Test func clientsBehindAProxyAreApart() throws {
            let tokens = try Tokens(file: tokenLine("ann", "read", "anns-token"))
            let server = try TestServer(redis: try RedisServer.shared, tokens: tokens)
            func status(_ address: String) throws -> Int {
                try server.request("GET", "/api/rate-limits", headers: [("X-Forwarded-For", address)]).status
            }
            #expect(try blockingUntil { try status("192.0.2.1") == 429 })
            // Two of them may share a slot, not ten.
            #expect(try (1...10).contains { try status("198.51.100.\($0)") == 401 })
        }
    }

    @Suite struct StreamLimitTests {
        @Test func streamsHaveAnEnd() throws {
            let server = try TestServer(redis: try RedisServer.shared) { $0.serviceSettings["max-streams"] = "3" }
            var streams: [HTTPConnection] = []
            for _ in 0..<3 {
                let connection = try server.connect()
                _ = try connection.subscribe("/api/rate-limits/events")
                streams.append(connection)
            }
            let refused = try server.request("GET", "/api/rate-limits/events")
            #expect(refused.status == 503 && refused.header("Retry-After") == "5")
            #expect(try server.request("GET", "/api/rate-limits").status == 200)
            // Whoever leaves makes room.
            streams.removeLast()
            let isRoom = blockingUntil {
                guard let connection = try? server.connect() else { return false }
                return (try? connection.subscribe("/api/rate-limits/events")) != nil
            }
            #expect(isRoom)
        }
    }
}

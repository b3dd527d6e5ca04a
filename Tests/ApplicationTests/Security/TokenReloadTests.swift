import EventLoops
import Glibc
import Services
import TestSupport
import Testing

extension Security {
    /// Tokens whose file changes while the server runs.
    @Suite struct TokenReloadTests {
        private let folder: TemporaryFolder
        private var file: String { folder.path + "/tokens" }

        init() throws { folder = try TemporaryFolder() }

        private func server(_ text: String, loops: Int = 2) throws -> TestServer {
            try replaceFile(file, text)
            return try TestServer(redis: try RedisServer.shared, loops: loops, tokens: try Tokens(file: text)) {
                $0.tokensFile = file
            }
        }

        private func status(_ server: TestServer, _ token: String) throws -> Int {
            try server.request("GET", "/api/rate-limits", headers: bearer(token)).status
        }

        /// On all loops: the operating system deals connections out, so that many reach each.
        private func statuses(_ server: TestServer, _ token: String) throws -> Set<Int> {
            Set(try (0..<16).map { _ in try status(server, token) })
        }

        /// Whether a stream ends; comments would keep a reader of one that does not.
        private func ends(_ stream: HTTPConnection) async -> Bool {
            let ended = Journal<Bool>()
            nonisolated(unsafe) let read = stream
            Threads.start("reader") {
                while (try? read.nextEvent()) != nil {}
                ended.add(true)
            }
            return await eventually { ended.count == 1 }
        }

        @Test func aRevokedTokenIsRefusedAndItsStreamsEnd() async throws {
            let admin = tokenLine("ops", "admin", "ops-token")
            let server = try server(admin + tokenLine("ann", "read", "anns-token"))
            #expect(try statuses(server, "anns-token") == [200])
            let stream = try server.connect()
            _ = try stream.subscribe("/api/rate-limits/events", headers: bearer("anns-token"))
            let staying = try server.connect()
            _ = try staying.subscribe("/api/rate-limits/events", headers: bearer("ops-token"))
            #expect(try stream.nextEvent().name == "snapshot" && staying.nextEvent().name == "snapshot")
            try replaceFile(file, admin + tokenLine("bob", "read", "bobs-token"))
            #expect(try await eventually { try statuses(server, "anns-token") == [401] })
            #expect(try statuses(server, "bobs-token") == [200])
            #expect(try statuses(server, "ops-token") == [200])
            // Its stream ends by itself; the other one goes on and hears of what happens.
            #expect(await ends(stream))
            let rule = #"{"name":"r","strategy":"token_bucket","limit":10,"window":"1d"}"#
            let made = try server.request("POST", "/api/rate-limits", headers: bearer("ops-token"), body: rule)
            #expect(made.status == 201)
            #expect(try staying.nextEvent().name == "change")
        }

        @Test func aLesserRoleEndsWhatItCannotHave() async throws {
            let admin = tokenLine("ops", "admin", "ops-token")
            let server = try server(admin + tokenLine("ann", "read", "anns-token"))
            let stream = try server.connect()
            _ = try stream.subscribe("/api/rate-limits/events", headers: bearer("anns-token"))
            try replaceFile(file, admin + tokenLine("ann", "check", "anns-token"))
            #expect(try await eventually { try statuses(server, "anns-token") == [403] })
            #expect(await ends(stream))
        }

        @Test func aWrongFileChangesNothing() async throws {
            let good = tokenLine("ann", "admin", "anns-token")
            let server = try server(good)
            for text in ["ann admin nonsense\n", "", "# nobody\n", good + good] {
                try replaceFile(file, text)
                // Whether it was looked at cannot be seen from outside; telling it to look again makes sure.
                server.readTokens()
                #expect(try statuses(server, "anns-token") == [200])
            }
            unlink(file)
            server.readTokens()
            #expect(try statuses(server, "anns-token") == [200])
            // It is looked at again all the same.
            try replaceFile(file, tokenLine("bob", "admin", "bobs-token"))
            #expect(try await eventually { try statuses(server, "anns-token") == [401] })
            #expect(try statuses(server, "bobs-token") == [200])
        }

        @Test func eachReadingIsWrittenDown() async throws {
            let server = try server(tokenLine("ann", "admin", "anns-token"))
            try replaceFile(
                file, tokenLine("ann", "admin", "anns-token") + tokenLine("bob", "read", "bobs-token"))
            var entry: [String?] = []
            let isWritten = try await eventually {
                let list = try server.request("GET", "/api/audit", headers: bearer("anns-token")).json?.elements ?? []
                entry = ["who", "method", "route", "subject"].map { list.first?[$0]?.string }
                return !list.isEmpty
            }
            #expect(isWritten && entry == ["system", "RELOAD", "tokens", "2 tokens"])
        }

        /// The rates of names: counted by name over all tokens of it, and beside others.
        @Test func ratesHoldAndChangeWithTheFile() async throws {
            let lines = tokenLine("ops", "admin", "ops-token") + tokenLine("ann", "read", "a1", "5/h")
            let server = try server(
                lines + tokenLine("ann", "read", "a2", "5/h") + tokenLine("bob", "read", "b", "1/h"))
            let first = try (0..<8).map { i in try status(server, i % 2 == 0 ? "a1" : "a2") }
            #expect(first == [200, 200, 200, 200, 200, 429, 429, 429])
            #expect(try [status(server, "b"), status(server, "b")] == [200, 429])
            #expect(try (0..<20).allSatisfy { _ in try status(server, "ops-token") == 200 })
            let refused = try server.request("GET", "/api/rate-limits", headers: bearer("a1"))
            #expect((1...3600).contains(Int(refused.header("Retry-After") ?? "") ?? 0))
            #expect(!refused.text.contains("a1"))
            // Other replicas count the same.
            let other = try TestServer(
                redis: try RedisServer.shared, prefix: server.prefix,
                tokens: try Tokens(file: lines + tokenLine("bob", "read", "b", "1/h")))
            #expect(try status(other, "a1") == 429 && status(other, "b") == 429)
            // Their rules are nobody's to see or change.
            let rules = try server.request("GET", "/api/rate-limits", headers: bearer("ops-token"))
            #expect(rules.json?.elements.isEmpty == true)
            // Raised, it keeps what was used: 7 of 12 are left.
            try replaceFile(file, tokenLine("ops", "admin", "ops-token") + tokenLine("ann", "read", "a1", "12/h"))
            #expect(try await eventually { try status(server, "a1") == 200 })
            #expect(try (0..<6).map { _ in try status(server, "a1") } == [200, 200, 200, 200, 200, 200])
            #expect(try status(server, "a1") == 429)
        }

        /// A rule of the group `quartermaster` counts tokens by their names.
        @Test func rulesForOurselvesKnowTokensByName() async throws {
            let server = try server(
                tokenLine("ops", "admin", "ops-token") + tokenLine("ann", "read", "anns-token"))
            let rule =
                #"{"name":"own","group":"quartermaster","strategy":"fixed_window","limit":3,"window":"1d","match":{"identifier":"ann"}}"#
            let made = try server.request("POST", "/api/rate-limits", headers: bearer("ops-token"), body: rule)
            #expect(made.status == 201)
            #expect(try (0..<4).map { _ in try status(server, "anns-token") } == [200, 200, 200, 429])
            #expect(try status(server, "ops-token") == 200)
            let redis = try RedisServer.shared
            let keys = try redis.redis("KEYS", server.prefix + "ratelimit:{id:*")
            #expect(keys.contains("{id:ann}:own:") && !keys.contains("token"))
        }
    }
}

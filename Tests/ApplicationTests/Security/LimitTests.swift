import EventLoops
import HTTP
import JSON
import Services
import TestSupport
import Testing

/// A service of one route that waits until the test lets it go on.
private final class WaitingService: Service {
    private let context: ServiceContext
    private static let goOn = Journal<String>()

    init(context: ServiceContext) { self.context = context }

    static func letGo(_ name: String) { goOn.add(name) }

    func addRoutes(to routes: Routes) {
        routes.on(.post, "/api/wait/{name}", role: .work, atOnce: 2) { [context] exchange, _ in
            let name = exchange.parameter(0)
            while !WaitingService.goOn.all.contains(name) { await context.loop.sleep(us: 1000) }
            exchange.beginReply(204)
            exchange.finishReply()
        }
    }

    func start() async throws {}
    func stop() async {}
}

extension Security {
    /// What a client can make grow has an end, and an answer that says so.
    @Suite struct LimitTests {
        @Test func requestsThatWaitHaveAnEnd() throws {
            let definition = ServiceDefinition(name: "waiting", port: 1, scripts: []) {
                WaitingService(context: $0)
            }
            let server = try TestServer(redis: try RedisServer.shared, services: [definition])
            let waiting = try (0..<2).map { i in
                let connection = try server.connect()
                try connection.send([HTTPConnection.encode("POST", "/api/wait/\(i)", body: "")])
                return connection
            }
            // The third is told at once that there are two.
            let isFull = try blockingUntil {
                let connection = try server.connect()
                try connection.send([HTTPConnection.encode("POST", "/api/wait/full", body: "")])
                WaitingService.letGo("full")
                let answer = try connection.receive()
                return answer.status == 503 && answer.header("Retry-After") == "1"
            }
            #expect(isFull)
            WaitingService.letGo("0")
            #expect(try waiting[0].receive().status == 204)
            #expect(try server.request("POST", "/api/wait/full", body: "").status == 204)
            WaitingService.letGo("1")
            #expect(try waiting[1].receive().status == 204)
        }

        @Test func textsThatComeBackAreCut() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let answer = try server.request("GET", "/api/rate-limits/" + String(repeating: "%C3%A9%0A", count: 1500))
            #expect(answer.status == 404 && answer.body.count < 8000)
            #expect(answer.json?["detail"]?.string?.hasSuffix("…") == true)
            let cursor = String(repeating: "a", count: 513)
            for path in ["/api/rate-limits?cursor=\(cursor)", "/api/audit?cursor=\(cursor)"] {
                let refused = try server.request("GET", path)
                #expect(refused.status == 400 && refused.json?["field"]?.string == "cursor")
            }
        }

        /// Each with the status that names it.
        @Test func partsOfARequestHaveAnEnd() throws {
            let server = try TestServer(redis: try RedisServer.shared)
            let rule = #"{"name":"r","strategy":"token_bucket","limit":10,"window":"1d"}"#
            let long = String(repeating: "k", count: 256)
            let key = try server.request("POST", "/api/rate-limits", headers: [("Idempotency-Key", long)], body: rule)
            #expect(key.status == 400 && key.json?["field"]?.string == "Idempotency-Key")
            let kept = String(long.dropLast())
            #expect(
                try server.request("POST", "/api/rate-limits", headers: [("Idempotency-Key", kept)], body: rule).status
                    == 201)
            let redis = try RedisServer.shared
            let names = try redis.redis("KEYS", server.prefix + "idem:*").split(separator: "\n")
            #expect(names.count == 1)
            let lifeMs = Int(try redis.redis("PTTL", String(names[0]))) ?? 0
            #expect((1...86_400_000).contains(lifeMs))
            func status(_ path: String, _ headers: [(String, String)] = [], _ body: String? = nil) throws -> Int {
                try server.request(body == nil ? "GET" : "POST", path, headers: headers, body: body).status
            }
            #expect(try status("/" + String(repeating: "a", count: 17_000)) == 431)
            #expect(try status("/healthz", (0..<101).map { ("X-\($0)", "a") }) == 431)
            #expect(
                try status("/api/rate-limits/check", [], String(repeating: " ", count: 1_048_577)) == 413)
            let nested = String(repeating: "[", count: 100_000)
            #expect(try status("/api/rate-limits", [], nested) == 400)
            let checks =
                #"{"checks":["# + String(repeating: #"{"identifier":"a"},"#, count: 1000) + #"{"identifier":"a"}]}"#
            #expect(try status("/api/rate-limits/check/bulk", [], checks) == 400)
        }
    }
}

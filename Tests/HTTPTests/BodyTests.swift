import EventLoops
import Glibc
import HTTP
import Testing

/// Requests whose bodies are still to come: judged by their heads, and counted.
@Suite struct BodyTests {
    private struct NoToken: Error {}

    /// A server whose routes but `/open` ask for a token.
    private func server(_ limits: HTTPLimits = TestServer.smallLimits) throws -> TestServer {
        try TestServer(limits: limits) { router, server in
            for path in ["/large", "/open"] {
                router.on(
                    .post, path, bodyLimit: 1_000_000,
                    .immediate { exchange in
                        server.events.add("handled")
                        let count = exchange.body.count
                        exchange.reply(200) { $0.value(count) }
                    })
            }
            router.beforeBody = { exchange, route in
                server.events.add("judged \(exchange.hasBody) \(exchange.body.count)")
                if route.pattern != "/open", exchange.header("authorization") == nil { throw NoToken() }
            }
            router.failed = { error, exchange in
                if error is NoToken { return exchange.replyProblem(401, detail: "No token.") }
                Router.answer(error, exchange)
            }
        }
    }

    /// Nobody is asked to send what will not be taken.
    @Test(
        arguments: [
            ("POST /large", "Content-Length: 900000", 401), ("POST /large", "Transfer-Encoding: chunked", 401),
            ("PUT /large", "Content-Length: 900000", 405), ("POST /open", "Content-Length: 1000001", 413),
            ("DELETE /nowhere", "Content-Length: 1", 405),
        ])
    func refusedByTheHead(_ line: String, _ length: String, _ status: Int) throws {
        let server = try server()
        let client = try server.connect()
        client.send("\(line) HTTP/1.1\r\nHost: a\r\n\(length)\r\nExpect: 100-continue\r\n\r\n")
        let response = try client.response()
        #expect(response.status == status && response.field("Connection") == "close")
        #expect(!server.events.all.contains("handled"))
        client.finishSending()
        #expect(client.isAtEnd())
    }

    /// Whoever sends on regardless hears why, and nothing of it is kept.
    @Test func whatIsSentNonethelessIsThrownAway() throws {
        let server = try server()
        let client = try server.connect()
        client.send("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
        for _ in 0..<9 { #expect(client.send([UInt8](repeating: 0x61, count: 100_000))) }
        let response = try client.response()
        #expect(response.status == 401 && server.onLoop { $0.bodyBytes } == 0)
        client.finishSending()
        #expect(client.isAtEnd())
    }

    @Test(arguments: ["Content-Length: 600000", "Transfer-Encoding: chunked"])
    func whatIsAdmittedGoesOn(_ length: String) throws {
        let client = try server().connect()
        for _ in 0..<3 {
            client.send(
                "POST /large HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\(length)\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.response().status == 100)
            let body = String(repeating: "x", count: 600_000)
            client.send(length.hasPrefix("T") ? "927c0\r\n\(body)\r\n0\r\n\r\n" : body)
            let response = try client.response()
            #expect(response.status == 200 && response.body == "600000")
        }
    }

    /// A body that came with its head is judged with its request and not before.
    @Test func whatIsHereIsNotJudgedTwice() throws {
        let server = try server()
        let client = try server.connect()
        client.send("POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try client.response().body == "3")
        #expect(server.events.all == ["handled"])
        client.send("POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        #expect(server.events.wait(for: "judged true 0"))
        client.send("bc")
        #expect(try client.response().body == "3")
    }

    // MARK: Together

    private func limits() -> HTTPLimits {
        var limits = TestServer.smallLimits
        limits.bodyBytesAtOnce = 1_500_000
        return limits
    }

    private static func head(_ length: String) -> String {
        "POST /open HTTP/1.1\r\nHost: a\r\n\(length)\r\n\r\n"
    }

    @Test(arguments: ["Content-Length: 900000", "Transfer-Encoding: chunked"])
    func bodiesHaveAShareTogether(_ length: String) throws {
        let server = try server(limits())
        let body = String(repeating: "x", count: 900_000)
        let first = try server.connect()
        first.send(Self.head("Content-Length: 900000") + body.dropLast())
        #expect(eventually { server.onLoop { $0.bodyBytes } > 800_000 })
        let second = try server.connect()
        second.send(Self.head(length))
        if length.hasPrefix("T") { second.send("dbba0\r\n" + body) }
        let refusal = try second.response()
        #expect(refusal.status == 503 && refusal.field("Retry-After") == "1")
        // Small ones are none of this.
        let third = try server.connect()
        third.send(Self.head("Content-Length: 5") + "ab")
        third.send("cde")
        #expect(try third.response().body == "5")
        first.send("x")
        #expect(try first.response().body == "900000")
        #expect(eventually { server.onLoop { $0.bodyBytes } == 0 })
        third.send(Self.head("Content-Length: 900000") + body)
        #expect(try third.response().body == "900000")
        #expect(eventually { server.onLoop { $0.bodyBytes } == 0 })
    }

    @Test func whoLeavesTakesItsShareAlong() throws {
        let server = try server(limits())
        for isReset in [true, false] {
            let client = try server.connect()
            client.send(Self.head("Content-Length: 900000") + String(repeating: "x", count: 300_000))
            #expect(eventually { server.onLoop { $0.bodyBytes } > 800_000 })
            if isReset { client.reset() } else { client.finishSending() }
            #expect(eventually { server.onLoop { $0.bodyBytes } == 0 })
        }
    }
}

import EventLoops
import Glibc
import HTTP
import Testing

@Suite struct LimitTests {
    /// The client is still sending when it is refused. Closing at once would reset the connection and lose the answer.
    @Test(arguments: [("Content-Length: 4000000", 413), ("Transfer-Encoding: gzip, chunked", 501), ("Bad : x", 400)])
    func theAnswerSurvivesWhatIsStillSent(_ field: String, _ status: Int) throws {
        let client = try TestServer().connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n")
        let part = [UInt8](repeating: 0x61, count: 100_000)
        for _ in 0..<20 {
            // A reset would show here first.
            #expect(client.send(part))
            usleep(5000)
        }
        client.finishSending()
        let response = try client.response()
        #expect(response.status == status && response.field("Connection") == "close")
        #expect(client.isAtEnd())
    }

    @Test func aClientThatNeverStopsSendingIsLeft() throws {
        var limits = TestServer.smallLimits
        limits.lingerUs = 200_000
        let server = try TestServer(limits: limits)
        let client = try server.connect()
        client.send("BREW / HTTP/1.1\r\n\r\n")
        let sending = Thread { for _ in 0..<2000 where server.onLoop({ $0.openConnections }) > 0 { client.send("x") } }
        #expect(try client.response().status == 501)
        #expect(eventually { server.onLoop { $0.openConnections } == 0 })
        client.reset()
        sending.join()
    }

    @Test func routesHaveLimitsOfTheirOwn() throws {
        let server = try TestServer { router, _ in
            router.on(
                .post, "/large", bodyLimit: 20000,
                .immediate { exchange in
                    let count = exchange.body.count
                    exchange.reply(200) { $0.value(count) }
                })
            router.on(.post, "/tiny", bodyLimit: 3, .immediate { exchange in exchange.reply(200) { $0.value(1) } })
        }
        for (path, length, status) in [
            ("/large", 20000, 200), ("/large", 20001, 413), ("/tiny", 3, 200), ("/tiny", 4, 413), ("/else", 5000, 200),
            ("/else", 5001, 413),
        ] {
            let client = try server.connect()
            client.send("POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\r\n")
            client.send(String(repeating: "x", count: length))
            #expect(try client.response().status == status, "\(path) \(length)")
        }
    }

    @Test func connectionsBeyondTheLimitAreToldSo() throws {
        var limits = TestServer.smallLimits
        limits.connections = 2
        limits.lingerUs = 200_000
        let server = try TestServer(limits: limits)
        let first = try server.connect()
        let second = try server.connect()
        first.get("/1")
        second.get("/2")
        #expect(try first.response().status == 200 && second.response().status == 200)
        let third = try server.connect()
        third.get("/3")
        let refusal = try third.response()
        #expect(refusal.status == 503 && refusal.field("Retry-After") == "1" && refusal.field("Connection") == "close")
        #expect(third.isAtEnd())
        // Those that are in are none the worse for it, and a place that becomes free is given again.
        first.get("/4")
        #expect(try first.response().body == "/4")
        second.finishSending()
        #expect(second.isAtEnd())
        #expect(eventually { server.onLoop { $0.openConnections } <= 1 })
        let fourth = try server.connect()
        fourth.get("/5")
        #expect(try fourth.response().status == 200)
    }

    /// A flood beyond what is answered politely must not grow without bound.
    @Test func aFloodOfConnectionsIsBounded() throws {
        var limits = TestServer.smallLimits
        limits.connections = 2
        let server = try TestServer(limits: limits)
        let clients = try (0..<60).map { _ in try server.connect() }
        #expect(eventually { server.onLoop { $0.accepted } == 60 })
        #expect(server.onLoop { $0.openConnections } <= 18)
        withExtendedLifetime(clients) {}
    }
}

import EventLoops
import Glibc
import HTTP
import Testing

/// Clients that are slow, on purpose or not. Limits are small, so that the tests are quick.
@Suite struct DeadlineTests {
    private static var limits: HTTPLimits {
        var limits = TestServer.smallLimits
        limits.headUs = 300_000
        limits.bodyUs = 300_000
        limits.idleUs = 60_000_000
        limits.lingerUs = 300_000
        return limits
    }

    private func elapsedUs(_ body: () throws -> Void) rethrows -> Int64 {
        let startUs = MonotonicClock.nowUs()
        try body()
        return MonotonicClock.nowUs() - startUs
    }

    /// A byte now and then: the head has a deadline as a whole, so this client is refused all the same.
    @Test func aHeadThatTricklesIsRefused() throws {
        let client = try TestServer(limits: DeadlineTests.limits).connect()
        // Between requests the deadline is far off; it must be heard of when it comes near.
        client.get("/")
        _ = try client.response()
        let trickle = Thread {
            for byte in "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 1000))".utf8 {
                guard client.send([byte]) else { return }
                usleep(20000)
            }
        }
        let us = try elapsedUs {
            let response = try client.response()
            #expect(response.status == 408 && response.field("Connection") == "close")
            #expect(client.isAtEnd())
        }
        #expect(us >= 300_000 && us < 10_000_000)
        client.reset()
        trickle.join()
    }

    @Test func aBodyThatStopsIsRefused() throws {
        let client = try TestServer(limits: DeadlineTests.limits).connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        let us = try elapsedUs {
            let response = try client.response()
            #expect(response.status == 408)
        }
        #expect(us >= 250_000 && us < 15_000_000)
    }

    /// Steady progress, but far below the least mean rate.
    @Test func aBodyThatTricklesIsRefused() throws {
        let client = try TestServer(limits: DeadlineTests.limits).connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        let trickle = Thread {
            for _ in 0..<1000 {
                guard client.send("1\r\nx\r\n") else { return }
                usleep(20000)
            }
        }
        let us = try elapsedUs {
            let response = try client.response()
            #expect(response.status == 408)
        }
        #expect(us < 10_000_000)
        client.reset()
        trickle.join()
    }

    /// A body that takes longer than the deadline for one byte, at a decent rate, is served.
    @Test func aBodyThatProgressesIsServed() throws {
        var limits = DeadlineTests.limits
        limits.bodyBytesPerSecond = 10
        let client = try TestServer(limits: limits).connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        let us = elapsedUs {
            for _ in 0..<10 {
                usleep(60000)
                client.send(String(repeating: "x", count: 10))
            }
        }
        #expect(us > limits.bodyUs)
        #expect(try client.response().status == 200)
    }

    private func impatientServer() throws -> TestServer {
        var limits = DeadlineTests.limits
        limits.idleUs = 600_000
        return try TestServer(limits: limits)
    }

    @Test func anIdleConnectionIsClosed() throws {
        let client = try impatientServer().connect()
        client.get("/")
        _ = try client.response()
        let us = elapsedUs { #expect(client.isAtEnd()) }
        #expect(us >= 500_000 && us < 15_000_000)
    }

    @Test func aConnectionThatSaysNothingIsClosed() throws {
        let client = try impatientServer().connect()
        #expect(client.isAtEnd())
    }

    /// The time a handler takes is not the client's fault.
    @Test func aSlowHandlerMayBeSlow() throws {
        let server = try TestServer(limits: DeadlineTests.limits) { router, _ in
            router.on(
                .get, "/slow",
                .async { exchange in
                    await exchange.loop.sleep(us: 1_200_000)
                    exchange.reply(200) { $0.value("done") }
                })
        }
        let client = try server.connect()
        client.get("/slow")
        #expect(try client.response().body == "\"done\"")
    }

    /// A client that asks and never reads holds its connection no longer than the deadline for progress, whether it asks
    /// on and on or but once.
    @Test(arguments: ["", "Connection: close\r\n"])
    func aClientThatDoesNotReadIsCut(_ field: String) throws {
        let server = try TestServer(limits: DeadlineTests.limits) { router, _ in
            let page = [UInt8](repeating: 0x61, count: field.isEmpty ? 1 << 20 : 20 << 20)
            router.on(
                .get, "/large",
                .immediate { exchange in
                    exchange.beginReply(200)
                    exchange.finishReply(contentType: "text/plain") { $0.append(page) }
                })
        }
        let client = try server.connect()
        let asking = Thread { for _ in 0..<1000 where !client.get("/large", field) { return } }
        #expect(eventually { server.onLoop { $0.requests > 0 && $0.openConnections == 0 } })
        // It was not answered into memory without end.
        #expect(server.onLoop { $0.requests } < 100)
        client.reset()
        asking.join()
    }
}

import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

/// Clients that leave, and servers that do.
@Suite struct LeavingTests {
    /// A server whose `/wait` answers when the test says so, and says what it saw.
    private func waitingServer() throws -> TestServer {
        try TestServer { router, server in
            router.on(
                .get, "/wait",
                .async { exchange in
                    exchange.onGone = { server.events.add("gone") }
                    server.events.add("waiting")
                    while !server.events.all.contains("go") { await exchange.loop.sleep(us: 2000) }
                    server.events.add(
                        "\(exchange.isGone) \(exchange.path.string) \(exchange.header("x-tag")?.string ?? "")")
                    exchange.reply(200) { $0.value("late") }
                    server.events.add("answered")
                })
        }
    }

    /// The handler learns that nobody waits any more, still finds its request whole, and may answer.
    @Test(arguments: [true, false])
    func aClientLeavesWhileItsHandlerWaits(byReset: Bool) throws {
        let server = try waitingServer()
        var client: RawClient? = try server.connect()
        client?.get("/wait", "X-Tag: here\r\n")
        #expect(server.events.wait(for: "waiting"))
        if byReset { client?.reset() }
        client = nil
        #expect(server.events.wait(for: "gone"))
        // Others come and use what buffers there are in the meantime.
        let other = try server.connect()
        other.get("/other")
        #expect(try other.response().body == "/other")
        server.events.add("go")
        #expect(server.events.wait(for: "answered"))
        #expect(server.events.all.contains("true /wait here"))
        #expect(eventually { server.onLoop { $0.openConnections } == 1 })
        other.get("/again")
        #expect(try other.response().body == "/again")
    }

    /// A client that has said all it has to say still gets its answers.
    @Test func aClientThatFinishedSendingIsAnswered() throws {
        let server = try waitingServer()
        let client = try server.connect()
        client.get("/wait")
        client.get("/next")
        client.finishSending()
        #expect(server.events.wait(for: "gone"))
        server.events.add("go")
        #expect(try client.response().body == "\"late\"")
        #expect(try client.response().body == "/next")
        #expect(client.isAtEnd())
    }

    @Test func aClientThatLeavesWithinARequestIsForgotten() throws {
        let server = try TestServer()
        for text in [
            "", "GET", "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
        ] {
            let client = try server.connect()
            client.send(text)
            client.finishSending()
            #expect(client.isAtEnd())
        }
        #expect(eventually { server.onLoop { $0.openConnections } == 0 })
    }

    /// A client resets its connection before it is accepted, its request already sent. The operating system has forgotten
    /// its address by then, and it must not pass for a unix socket, whose peers are trusted.
    @Test func aClientThatLeftBeforeItWasAcceptedIsNobody() throws {
        let server = try TestServer { router, server in
            router.before = { exchange, _ in
                server.events.add("\(exchange.peer)")
                return true
            }
        }
        let holding = Thread {
            server.onLoop { _ in
                server.events.add("held up")
                _ = server.events.wait(for: "gone")
            }
        }
        #expect(server.events.wait(for: "held up"))
        for _ in 0..<10 {
            let client = try server.connect()
            client.get("/")
            client.reset()
        }
        server.events.add("gone")
        holding.join()
        #expect(eventually { server.onLoop { $0.accepted == 10 && $0.openConnections == 0 } })
        #expect(!server.events.all.contains("unix"))
    }

    @Test func drainingFinishesWhatIsInFlight() throws {
        let server = try waitingServer()
        let idle = try server.connect()
        idle.get("/")
        _ = try idle.response()
        let busy = try server.connect()
        busy.get("/wait")
        #expect(server.events.wait(for: "waiting"))
        // The loop is held up until another client's connection waits to be accepted and its request to be read.
        let draining = Thread {
            server.onLoop {
                server.events.add("held up")
                _ = server.events.wait(for: "late is here")
                await $0.drain(graceUs: 20_000_000)
            }
            server.events.add("drained")
        }
        #expect(server.events.wait(for: "held up"))
        let late = try server.connect()
        late.get("/late")
        server.events.add("late is here")
        #expect(idle.isAtEnd())
        let answer = try late.response()
        #expect(answer.body == "/late" && answer.field("Connection") == "close")
        #expect(late.isAtEnd())
        #expect(throws: (any Error).self) {
            let refused = try server.connect()
            refused.get("/")
            _ = try refused.response()
        }
        #expect(!server.events.all.contains("drained"))
        server.events.add("go")
        let last = try busy.response()
        #expect(last.body == "\"late\"" && last.field("Connection") == "close")
        #expect(busy.isAtEnd())
        draining.join()
        #expect(server.onLoop { $0.openConnections } == 0)
    }

    @Test func drainingCutsWhatOutlastsItsGrace() throws {
        let server = try waitingServer()
        let busy = try server.connect()
        busy.get("/wait")
        #expect(server.events.wait(for: "waiting"))
        server.onLoop { await $0.drain(graceUs: 100_000) }
        #expect(throws: RawClient.Ended.self) { try busy.response() }
        server.events.add("go")
        #expect(server.events.wait(for: "answered"))
    }

    @Test func aDrainOfNothingIsOver() throws {
        let server = try TestServer()
        server.onLoop { await $0.drain(graceUs: 20_000_000) }
        #expect(server.onLoop { $0.openConnections } == 0)
    }
}

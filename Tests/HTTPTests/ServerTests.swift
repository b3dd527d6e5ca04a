import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

/// Requests and answers over a socket.
@Suite struct ServerTests {
    @Test func answersInFull() throws {
        let client = try TestServer().connect()
        client.get("/hello?x=1")
        let response = try client.response()
        #expect(response.status == 200 && response.body == "/hello")
        #expect(
            response.fields.map { $0.prefix { $0 != ":" } } == [
                "Date", "X-Content-Type-Options", "Content-Type", "Content-Length",
            ])
        let date = try #require(response.field("Date"))
        var parts = tm()
        #expect(strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts) != nil)
        #expect(abs(Int(timegm(&parts)) - time(nil)) <= 2)
    }

    @Test func headHasTheHeadOfGet() throws {
        let client = try TestServer().connect()
        client.send("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n")
        let head = try client.response(isHead: true)
        client.get("/abc")
        let get = try client.response()
        #expect(head.status == 200 && head.field("Content-Length") == "4" && get.body == "/abc")
    }

    @Test func sendsContinueBeforeABodyOnly() throws {
        let client = try TestServer().connect()
        client.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        #expect(try client.response().status == 100)
        client.send("abc")
        #expect(try client.response().body == "/a abc")
        client.send("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(try client.response().status == 100)
        client.send("1\r\nx\r\n0\r\n\r\n")
        #expect(try client.response().body == "/a x")
        client.get("/b", "Expect: 100-continue\r\n")
        #expect(try client.response().body == "/b")
    }

    @Test func httpOneZeroIsToldTheConnectionStays() throws {
        let client = try TestServer().connect()
        client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(try client.response().field("Connection") == "keep-alive")
        client.send("GET /b HTTP/1.0\r\n\r\n")
        let last = try client.response()
        #expect(last.body == "/b" && last.field("Connection") == "close")
        #expect(client.isAtEnd())
    }

    /// Three requests in one packet, the first answered last by its handler: the answers keep the order of the requests.
    @Test func pipelinedAnswersKeepTheirOrder() throws {
        let server = try TestServer { router, server in
            router.on(
                .get, "/slow",
                .async { exchange in
                    await exchange.loop.sleep(us: 50_000)
                    server.events.add("slow")
                    exchange.reply(200) { $0.value("slow") }
                })
            router.on(
                .get, "/fast",
                .immediate { exchange in
                    server.events.add("fast")
                    exchange.reply(200) { $0.value("fast") }
                })
        }
        let client = try server.connect()
        client.send(
            ["/slow", "/fast", "/last"].map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        #expect(
            try [client.response(), client.response(), client.response()].map(\.body) == [
                "\"slow\"", "\"fast\"", "/last",
            ])
        #expect(server.events.all == ["slow", "fast"])
    }

    @Test func deepPipelinesAreAnsweredWhole() throws {
        let client = try TestServer().connect()
        let count = 5000
        let sender = Thread {
            for start in stride(from: 0, to: count, by: 100) {
                client.send((start..<start + 100).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
            }
        }
        for i in 0..<count { #expect(try client.response().body == "/\(i)") }
        sender.join()
    }

    /// While a request is handled, what the client sends on fills one buffer and then waits; the request is not moved
    /// under its handler, and reading goes on afterwards.
    @Test func aFullBufferWaitsForTheHandler() throws {
        let server = try TestServer { router, server in
            router.on(
                .post, "/hold",
                .async { exchange in
                    let body = exchange.body
                    let tag = exchange.header("x-tag")
                    server.events.add("held")
                    while !server.events.all.contains("go") { await exchange.loop.sleep(us: 2000) }
                    exchange.reply(200) { $0.value("\(tag?.string ?? "") \(body.string) \(exchange.path.string)") }
                })
        }
        let client = try server.connect()
        let body = String(repeating: "b", count: 3000)
        client.get("/first")
        client.send("POST /hold HTTP/1.1\r\nHost: a\r\nX-Tag: t\r\nContent-Length: 3000\r\n\r\n\(body)")
        #expect(server.events.wait(for: "held"))
        let count = 2000
        let padding = "X-Padding: \(String(repeating: "p", count: 1000))\r\n"
        let sending = Thread { for i in 0..<count { client.get("/\(i)", padding) } }
        usleep(100_000)
        #expect(server.onLoop { $0.requests } == 2)
        server.events.add("go")
        #expect(try client.response().body == "/first")
        #expect(try client.response().body == "\"t \(body) /hold\"")
        for i in 0..<count { #expect(try client.response().body == "/\(i)") }
        sending.join()
    }

    @Test func bodiesArriveWholeHoweverTheyAreSent() throws {
        var limits = HTTPLimits()
        limits.bodyBytes = 1 << 20
        let client = try TestServer(limits: limits).connect()
        let body = String((0..<200_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        #expect(try client.response().body == "/ \(body)")
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        var rest = Substring(body)
        for size in [1, 2, 3, 5, 1000, 70000, 20000] {
            client.send("\(String(size, radix: 16));e=1\r\n\(rest.prefix(size))\r\n")
            rest = rest.dropFirst(size)
        }
        // One byte a chunk, in one packet: the framing is most of it, and within what is allowed.
        client.send(rest.prefix(500).map { "1\r\n\($0)\r\n" }.joined())
        rest = rest.dropFirst(500)
        client.send(
            "\(String(rest.count, radix: 16))\r\n\(rest)\r\n0\r\nTrailer: x\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        #expect(try client.response().body == "/ \(body)")
        #expect(try client.response().body == "/next")
    }

    @Test func servesUnixSockets() throws {
        let path = "/tmp/qm-http-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
        defer { unlink(path) }
        let server = try TestServer(unixPath: path) { router, _ in
            router.on(.get, "/peer", .immediate { exchange in exchange.reply(200) { $0.value("\(exchange.peer)") } })
        }
        let client = try server.connect()
        client.get("/peer")
        #expect(try client.response().body == "\"unix\"")
    }

    @Test func knowsThePeer() throws {
        let server = try TestServer { router, _ in
            router.on(
                .get, "/peer",
                .immediate { exchange in
                    exchange.reply(200) { $0.value(exchange.peer == .address("127.0.0.1")) }
                })
        }
        let client = try server.connect()
        client.get("/peer")
        #expect(try client.response().body == "true")
    }
}

/// A thread that can be waited for.
final class Thread: @unchecked Sendable {
    // Unchecked because the semaphore is made to be shared.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init(_ body: @escaping () -> Void) {
        sem_init(semaphore, 0, 0)
        nonisolated(unsafe) let body = body
        Threads.start("test-thread") { [self] in
            body()
            sem_post(semaphore)
        }
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func join() { sem_wait(semaphore) }
}

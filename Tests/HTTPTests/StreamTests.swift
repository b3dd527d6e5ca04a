import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

/// Answers of unknown length, and server-sent events.
@Suite struct StreamTests {
    private func streaming(
        limits: HTTPLimits = TestServer.smallLimits,
        _ body: @escaping @Sendable (ResponseStream, TestServer) async -> Void
    ) throws -> TestServer {
        try TestServer(limits: limits) { router, server in
            router.on(
                .get, "/stream",
                .async { exchange in
                    await body(exchange.beginStream(contentType: "text/plain"), server)
                })
        }
    }

    @Test func isSentInChunks() throws {
        let server = try streaming { stream, server in
            for text in ["a", String(repeating: "b", count: 15), "", String(repeating: "c", count: 70000)] {
                text.withByteView { stream.write($0) }
                await server.loop.sleep(us: 1000)
            }
            stream.write { $0.append("end") }
            stream.end()
        }
        let client = try server.connect()
        client.get("/stream")
        client.get("/after")
        let response = try client.response()
        #expect(response.field("Transfer-Encoding") == "chunked" && response.field("Content-Length") == nil)
        #expect(response.body == "a" + String(repeating: "b", count: 15) + String(repeating: "c", count: 70000) + "end")
        #expect(try client.response().body == "/after")
    }

    @Test func isSentAsItIsToHTTPOneZero() throws {
        let server = try streaming { stream, _ in
            stream.write(ByteView("hello"))
            stream.end()
        }
        let client = try server.connect()
        client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        let response = try client.response()
        #expect(response.body == "hello" && response.field("Connection") == "close")
        #expect(response.field("Transfer-Encoding") == nil && client.isAtEnd())
    }

    @Test func hasNoBodyForHead() throws {
        let server = try streaming { stream, _ in
            stream.write(ByteView("hello"))
            stream.end()
        }
        let client = try server.connect()
        client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        client.get("/after")
        #expect(try client.response(isHead: true).status == 200)
        #expect(try client.response().body == "/after")
    }

    /// A writer that waits for its reader keeps little in memory, however much it has to say.
    @Test func aWriterCanWaitForItsReader() throws {
        let server = try streaming { stream, server in
            let part = [UInt8](repeating: 0x61, count: 10000)
            var most = 0
            for i in 0..<3000 {
                part.withByteView { stream.write($0) }
                most = max(most, stream.bufferedBytes)
                if i == 1000 { server.events.add("well on") }
                await stream.writable()
            }
            stream.end()
            server.events.add("most \(most)")
        }
        let client = try server.connect()
        client.get("/stream")
        usleep(100_000)
        // The socket's buffers take a few megabytes; the rest must be waiting.
        #expect(!server.events.all.contains { $0.hasPrefix("most") })
        #expect(try client.response().body.utf8.count == 30_000_000)
        #expect(eventually { server.events.all.contains { $0.hasPrefix("most") } })
        let most = server.events.all.compactMap { Int($0.dropFirst(5)) }.first ?? .max
        #expect(most < 100_000)
    }

    @Test func aReaderThatLeavesEndsTheStream() throws {
        let server = try streaming { stream, server in
            stream.onClose = { server.events.add("closed") }
            while stream.isOpen {
                stream.write(ByteView("tick"))
                await server.loop.sleep(us: 1000)
            }
            server.events.add("over")
        }
        var client: RawClient? = try server.connect()
        client?.get("/stream")
        _ = try client?.readLine()
        client = nil
        #expect(server.events.wait(for: "closed") && server.events.wait(for: "over"))
        #expect(server.onLoop { $0.openConnections } == 0)
    }

    /// A handler that fails halfway cannot change the status, so the connection must show that the answer is not whole.
    @Test func aFailureWithinAStreamCutsIt() throws {
        struct Broken: Error {}
        let server = try TestServer { router, _ in
            router.on(
                .get, "/broken",
                .async { exchange in
                    let stream = exchange.beginStream(contentType: "text/plain")
                    stream.write(ByteView("half"))
                    await exchange.loop.sleep(us: 20000)
                    throw Broken()
                })
        }
        let client = try server.connect()
        client.get("/broken")
        #expect(throws: RawClient.Ended.self) { try client.response() }
    }
}

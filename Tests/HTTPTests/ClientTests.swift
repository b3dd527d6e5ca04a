import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

@Suite struct ClientTests {
    private func withClient<Value: Sendable>(
        _ server: TestServer, _ body: @escaping @Sendable (HTTPClient) async throws -> Value
    ) throws -> Value {
        let address = server.address
        let loop = server.loop
        let result: Result<Value, any Error> = loop.runBlocking {
            let client = HTTPClient(loop: loop, address: address, host: "test")
            defer { client.close() }
            do { return .success(try await body(client)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    @Test func sendsAndReceives() throws {
        let server = try TestServer()
        try withClient(server) { client in
            for i in 0..<5 {
                let response = try await client.send(.post, "/a\(i)", headers: [("X-A", "b")], body: Array("body".utf8))
                #expect(response.status == 200 && response.text == "/a\(i) body")
                #expect(response.field("CONTENT-TYPE") == "text/plain")
            }
            #expect(try await client.send(.head, "/h").body.isEmpty)
            #expect(try await client.send(.get, "/h").text == "/h")
            #expect(try await client.send(.options, "/options").status == 204)
            let problem = try await client.send(.delete, "/x").json
            #expect(problem["status"] == .int(405))
        }
        #expect(server.onLoop { $0.accepted } == 1)
    }

    @Test func repeatsWhatAClosedConnectionSwallowed() throws {
        var limits = TestServer.smallLimits
        limits.idleUs = 50000
        let server = try TestServer(limits: limits)
        try withClient(server) { client in
            for _ in 0..<5 {
                let response = try await client.send(.get, "/a")
                #expect(response.status == 200)
                // About when the server gives the connection up.
                await server.loop.sleep(us: Int64.random(in: 45000...65000))
            }
        }
    }

    @Test func failsAsItShould() throws {
        let server = try TestServer { router, _ in
            router.on(.get, "/never", .immediate { _ in })
            router.on(
                .get, "/refused",
                .immediate { exchange in
                    exchange.beginReply(403)
                    exchange.finishReply(contentType: "text/plain") { $0.append("not you") }
                })
            router.on(.get, "/cut", .immediate { exchange in exchange.beginStream(contentType: "text/plain").abort() })
        }
        try withClient(server) { client in
            await #expect(throws: HTTPClientError.timeout) { try await client.send(.get, "/never", timeoutUs: 50000) }
            await #expect(throws: HTTPClientError.connectionLost) { try await client.send(.get, "/cut") }
            await #expect(throws: HTTPClientError.malformed("status 200, content type text/plain")) {
                _ = try await client.openEvents("/text")
            }
            let refusal = await #expect(throws: HTTPClientError.self) { _ = try await client.openEvents("/refused") }
            guard case .refused(403, let body)? = refusal else { throw refusal ?? .closed }
            #expect(body == Array("not you".utf8))
            client.close()
            await #expect(throws: HTTPClientError.closed) { try await client.send(.get, "/") }
            let nobody = HTTPClient(loop: server.loop, address: .tcp(host: "127.0.0.1", port: 1), host: "x")
            await #expect(throws: HTTPClientError.unreachable("Connection refused")) {
                try await nobody.send(.get, "/")
            }
        }
    }

    @Test func followsEvents() throws {
        let server = try TestServer { router, _ in
            router.on(
                .get, "/events",
                .async { exchange in
                    let stream = EventStream(exchange)
                    for i in 0..<2000 {
                        stream.event(id: "\(i)", name: i % 2 == 0 ? "even" : nil, data: "\(i)")
                        if i % 100 == 0 { await exchange.loop.sleep(us: 1000) }
                    }
                    stream.event(data: "two\nlines")
                    stream.close()
                })
        }
        try withClient(server) { client in
            let source = try await client.openEvents("/events")
            for i in 0..<2000 {
                let expected = ServerSentEvent(id: "\(i)", name: i % 2 == 0 ? "even" : "message", data: "\(i)")
                #expect(try await source.next() == expected)
            }
            #expect(try await source.next()?.data == "two\nlines")
            #expect(try await source.next() == nil)
        }
    }

    /// The response parser takes its bytes one by one as well as in one piece.
    @Test func readsResponsesHoweverTheyAreCut() throws {
        let listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: 0), sharesPort: false)
        let address = Sockets.Address.tcp(host: "127.0.0.1", port: Sockets.localPort(listener)!)
        let serving = Thread {
            _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) & ~O_NONBLOCK)
            for text in [
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
                "HTTP/1.0 200 OK\r\n\r\nabc",
                "HTTP/1.1 204\r\nConnection: close\r\n\r\n",
                "SSH-2.0-x\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            ] {
                guard let connection = try? Sockets.accept(listener) else { return }
                _ = fcntl(connection, F_SETFL, fcntl(connection, F_GETFL) & ~O_NONBLOCK)
                var request = [UInt8](repeating: 0, count: 1000)
                _ = read(connection, &request, 1000)
                for byte in text.utf8 {
                    _ = send(connection, [byte], 1, Int32(MSG_NOSIGNAL))
                    usleep(100)
                }
                close(connection)
            }
            close(listener)
        }
        let loop = EventLoop()
        Threads.start("client") { loop.run() }
        let outcomes = loop.runBlocking {
            let client = HTTPClient(loop: loop, address: address, host: "x")
            var outcomes: [String] = []
            for _ in 0..<6 {
                do {
                    let response = try await client.send(.post, "/")
                    outcomes.append("\(response.status) \(response.text)")
                } catch { outcomes.append("\(error)") }
            }
            return outcomes
        }
        loop.stop()
        serving.join()
        #expect(
            outcomes == [
                "200 abc", "200 abc", "200 abc", "204 ", "the response is malformed: SSH-2.0-x",
                "the connection ended before the response did",
            ])
    }
}

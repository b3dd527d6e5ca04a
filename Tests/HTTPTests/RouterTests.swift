import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

@Suite struct RouterTests {
    private func server() throws -> TestServer {
        try TestServer { router, server in
            func on(_ method: HTTPMethod, _ pattern: String, _ name: String) {
                router.on(
                    method, pattern,
                    .immediate { exchange in
                        let count = pattern.filter { "{*".contains($0) }.count
                        let values = (0..<count).map { exchange.parameter($0) }
                        exchange.reply(200) { $0.value("\(name)(\(values.joined(separator: ",")))") }
                    })
            }
            on(.get, "/api/rules", "list")
            on(.post, "/api/rules", "create")
            on(.get, "/api/rules/{id}", "read")
            on(.put, "/api/rules/{id}", "replace")
            on(.post, "/api/rules/reset", "reset")
            on(.get, "/api/rules/{id}/uses/{n}", "use")
            on(.get, "/files/a/*", "files")
            on(.get, "/files/a/b", "file")
            on(.get, "/slash/", "slash")
            router.on(.get, "/fails", .immediate { _ in throw Failure() })
            router.on(
                .get, "/fails-late",
                .async { exchange in
                    exchange.beginReply(200)
                    exchange.addHeader("X-Half", "done")
                    await exchange.loop.sleep(us: 1000)
                    throw Failure()
                })
            router.on(.get, "/forgets", .async { _ in })
            router.on(
                .get, "/answers-then-fails",
                .async { exchange in
                    exchange.reply(200) { $0.value("first") }
                    await exchange.loop.sleep(us: 20000)
                    throw Failure()
                })
            router.on(
                .get, "/slow",
                .async { exchange in
                    await exchange.loop.sleep(us: 100_000)
                    exchange.reply(200) { $0.value("slow") }
                })
            router.before = { exchange, route in
                exchange.stashHeader("X-Route", route.pattern)
                if exchange.header("x-deny") != nil {
                    exchange.replyProblem(403, detail: "No.")
                    return false
                }
                return true
            }
        }
    }

    private struct Failure: Error {}

    private func ask(_ client: RawClient, _ method: String, _ path: String) throws -> RawClient.Response {
        client.send("\(method) \(path) HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        return try client.response(isHead: method == "HEAD")
    }

    @Test func findsRoutes() throws {
        let client = try server().connect()
        for (method, path, answer) in [
            ("GET", "/api/rules", "list()"), ("POST", "/api/rules", "create()"), ("GET", "/api/rules/7", "read(7)"),
            ("GET", "/api/rules/a%2Fb%20c%25", "read(a/b c%)"), ("GET", "/api/rules/a+b%zz%4", "read(a+b%zz%4)"),
            ("PUT", "/api/rules/7", "replace(7)"), ("POST", "/api/rules/reset", "reset()"),
            ("GET", "/api/rules/x/uses/3", "use(x,3)"),
            ("GET", "/files/a/b", "file()"), ("GET", "/files/a/b/c", "files(b/c)"), ("GET", "/files/a/", "files()"),
            ("GET", "/slash/", "slash()"), ("GET", "http://x/api/rules?y", "list()"),
        ] {
            let response = try ask(client, method, path)
            #expect(response.status == 200 && response.body == "\"\(answer)\"", "\(method) \(path)")
        }
    }

    /// Plain paths are found by themselves, before the patterns that match them, too.
    @Test func plainPathsAreFoundAmongMany() throws {
        let server = try TestServer { router, _ in
            for i in 0..<200 {
                for method in i % 3 == 0 ? [HTTPMethod.get, .post] : [.put] {
                    router.on(
                        method, "/p/\(i)",
                        .immediate { exchange in exchange.reply(200) { $0.value("\(method.name) \(i)") } })
                }
            }
            router.on(
                .get, "/p/{i}", .immediate { exchange in exchange.reply(200) { $0.value(exchange.parameter(0)) } })
        }
        let client = try server.connect()
        for i in 0..<201 {
            let isThird = i % 3 == 0 && i < 200
            let get = try ask(client, "GET", "/p/\(i)")
            if isThird { #expect(get.body == "\"GET \(i)\"") }
            if i == 200 { #expect(get.body == "\"200\"") }
            #expect(get.status == (isThird || i == 200 ? 200 : 405))
            #expect(try ask(client, "HEAD", "/p/\(i)").status == get.status)
            #expect(try ask(client, "PUT", "/p/\(i)").status == (isThird || i == 200 ? 405 : 200))
        }
        #expect(try ask(client, "POST", "/p/198").body == "\"POST 198\"")
        #expect(try ask(client, "DELETE", "/p/3").field("Allow") == "GET, HEAD, POST, OPTIONS")
    }

    /// What a route names as a whole has the methods of such routes, and is nobody's parameter.
    @Test func aPlainPathHasNoOtherMethods() throws {
        let client = try server().connect()
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH"] {
            let response = try ask(client, method, "/api/rules/reset")
            #expect(response.status == 405 && response.field("Allow") == "POST, OPTIONS", "\(method)")
        }
        let options = try ask(client, "OPTIONS", "/api/rules/reset?x=1")
        #expect(options.status == 204 && options.field("Allow") == "POST, OPTIONS")
        #expect(try ask(client, "POST", "/files/a/b").field("Allow") == "GET, HEAD, OPTIONS")
        #expect(try ask(client, "GET", "/api/rules/reset/").body == "/api/rules/reset/")
    }

    @Test func saysWhatIsNotThere() throws {
        let client = try server().connect()
        // The test server's own routes take any path for GET and POST.
        for path in ["/api", "/api/rules/", "/api/rules/1/uses", "/slash", "/%61pi/rules", "/"] {
            let response = try ask(client, "DELETE", path)
            #expect(response.status == 405 && response.field("Allow") == "GET, HEAD, POST, OPTIONS", "\(path)")
        }
        let wrong = try ask(client, "DELETE", "/api/rules/7")
        #expect(wrong.status == 405 && wrong.field("Allow") == "GET, HEAD, PUT, OPTIONS")
        #expect(wrong.field("Content-Type") == "application/problem+json")
        let options = try ask(client, "OPTIONS", "/api/rules")
        #expect(options.status == 204 && options.field("Allow") == "GET, HEAD, POST, OPTIONS")
        #expect(options.field("Content-Length") == nil)
        #expect(try ask(client, "OPTIONS", "*").status == 204)
    }

    @Test func headIsGetWithoutItsBody() throws {
        let client = try server().connect()
        let response = try ask(client, "HEAD", "/api/rules/7")
        #expect(response.status == 200 && response.field("Content-Length") == "9")
    }

    @Test func errorsBecomeAnswers() throws {
        let client = try server().connect()
        for path in ["/fails", "/fails-late", "/forgets"] {
            let response = try ask(client, "GET", path)
            #expect(response.status == 500 && response.field("X-Half") == nil, "\(path)")
            #expect(response.field("X-Route") == path)
            #expect(!response.body.contains("Failure"))
        }
        // An error after the answer is nobody's answer, least of all the next request's.
        client.get("/answers-then-fails")
        client.get("/slow")
        #expect(try client.response().body == "\"first\"")
        #expect(try client.response().body == "\"slow\"")
        #expect(try ask(client, "GET", "/api/rules/7").body == "\"read(7)\"")
    }

    @Test func beforeMayAnswer() throws {
        let client = try server().connect()
        client.get("/api/rules", "X-Deny: 1\r\n")
        let denied = try client.response()
        #expect(denied.status == 403 && denied.field("X-Route") == "/api/rules")
        client.get("/api/rules/7")
        let allowed = try client.response()
        #expect(
            allowed.status == 200 && allowed.fields.filter { $0.hasPrefix("X-Route") } == ["X-Route: /api/rules/{id}"])
    }
}

import Bytes
import EventLoops
import HTTP
import JSON
import Testing

/// What a handler sees of a request, and what it can say.
@Suite struct ExchangeTests {
    private func client(_ handler: @escaping @Sendable (Exchange) -> Void) throws -> RawClient {
        try TestServer { router, _ in router.on(.get, "/t", .immediate(handler)) }.connect()
    }

    @Test func headersAreFoundInAnyCase() throws {
        let client = try client { exchange in
            var all: [String] = []
            exchange.headers("x-many") { all.append($0.string) }
            let first = exchange.header("x-many")?.string ?? "none"
            let none = exchange.header("x-man") == nil && exchange.header("x-many-more") == nil
            exchange.reply(200) { $0.value("\(first) \(all) \(none)") }
        }
        client.get("/t", "X-Many: 1\r\nx-MANY: 2\r\nX-many:\r\n")
        #expect(try client.response().body == #""1 [\"1\", \"2\", \"\"] true""#)
    }

    @Test func queryItemsAreDecoded() throws {
        let client = try client { exchange in
            let items = exchange.queryItems.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
            let deny = exchange.queryItem("deny") ?? "none"
            let space = exchange.queryItem("a b") ?? "none"
            exchange.reply(200) {
                $0.value("\(exchange.path.string)|\(exchange.query.string)|\(items)|\(deny)|\(space)")
            }
        }
        for (target, answer) in [
            ("/t", "/t|||none|none"), ("/t?", "/t|||none|none"),
            ("/t?deny=403&deny=1&&x&=y", "/t|deny=403&deny=1&&x&=y|deny=403;deny=1;x=;=y|403|none"),
            ("/t?a+b=%C3%A9%2B+%26&den%79=5", "/t|a+b=%C3%A9%2B+%26&den%79=5|a b=é+ &;deny=5|5|é+ &"),
            ("/t?a%20b=?/%", "/t|a%20b=?/%|a b=?/%|none|?/%"),
        ] {
            client.get(target)
            let body = try client.response().body
            let text = try body.withByteView { try JSONValue(parsing: $0) }
            #expect(text == .string(answer), "\(target)")
        }
    }

    /// A value from elsewhere cannot end its line and begin another.
    @Test func headerValuesCannotForgeFields() throws {
        let client = try client { exchange in
            exchange.stashHeader("X-Stashed", "a\r\nX-Forged: 1")
            exchange.beginReply(200)
            exchange.addHeader("X-Text", String("b\nX-Forged: 2\u{0}é"))
            exchange.addHeader("X-View", ByteView("c\r\n\r\nbody"))
            exchange.addHeader("X-Number", decimal: -7)
            exchange.addHeader("X-Written") { $0.append(decimal: 12) }
            exchange.finishReply()
        }
        client.get("/t")
        let response = try client.response()
        #expect(
            response.fields.dropFirst() == [
                "X-Content-Type-Options: nosniff", "X-Stashed: a  X-Forged: 1", "X-Text: b X-Forged: 2 é",
                "X-View: c    body", "X-Number: -7",
                "X-Written: 12",
                "Content-Length: 0",
            ])
    }

    @Test func pagesSayWhatTheyMayDo() throws {
        let client = try client { exchange in
            let isStreamed = exchange.queryItem("streamed") != nil
            let isPage = exchange.queryItem("page") != nil
            let type: StaticString = isPage ? "text/html; charset=utf-8" : "application/json"
            if isStreamed { return exchange.beginStream(contentType: type).end() }
            exchange.beginReply(200)
            exchange.finishReply(contentType: type)
        }
        for target in ["/t", "/t?page", "/t?streamed", "/t?page&streamed"] {
            client.get(target)
            let fields = try client.response().fields
            let isPage = target.contains("page")
            #expect(fields.contains("X-Content-Type-Options: nosniff"), "\(target)")
            #expect(fields.contains("X-Frame-Options: DENY") == isPage, "\(target)")
            #expect(fields.contains("Referrer-Policy: no-referrer") == isPage, "\(target)")
            let policy = fields.first { $0.hasPrefix("Content-Security-Policy: ") }
            #expect((policy != nil) == isPage, "\(target)")
            if let policy {
                #expect(policy.contains("default-src 'self';") && policy.contains("frame-ancestors 'none'"))
            }
        }
    }

    @Test func hostAndBrowsersAreKnown() throws {
        let client = try client { exchange in
            exchange.reply(200) { $0.value("\(exchange.host.string) \(exchange.isFromBrowser)") }
        }
        for (fields, answer) in [
            ("", "a false"), ("Origin: http://b\r\n", "a true"), ("oRIGIN: null\r\n", "a true"),
            ("Sec-Fetch-Site: none\r\n", "a true"), ("Accept: x\r\nCookie: y\r\n", "a false"),
            ("Origins: x\r\nSec-Fetch-Mode: y\r\nExpecX: z\r\n", "a false"),
        ] {
            client.get("/t", fields)
            #expect(try client.response().body == "\"\(answer)\"", "\(fields)")
        }
    }

    /// What one answer leads to may be another: bodies are written in borrowed memory, each in its own.
    @Test func anAnswerMayBeGivenWithinAnother() throws {
        let server = try TestServer { router, server in
            nonisolated(unsafe) var waiting: Exchange?
            router.on(
                .get, "/waits",
                .immediate { exchange in
                    waiting = exchange
                    server.events.add("waiting")
                })
            router.on(
                .get, "/leads",
                .immediate { exchange in
                    exchange.reply(200) { json in
                        json.beginArray()
                        json.value("before")
                        waiting?.reply(200) { $0.value("within") }
                        json.value("after")
                        json.endArray()
                    }
                })
        }
        let first = try server.connect()
        first.get("/waits")
        #expect(server.events.wait(for: "waiting"))
        let second = try server.connect()
        second.get("/leads")
        #expect(try second.response().body == #"["before","after"]"#)
        #expect(try first.response().body == #""within""#)
    }

    @Test func unusualStatusesHaveALineToo() throws {
        let client = try client { exchange in
            exchange.beginReply(Int(exchange.query.decimal ?? 0))
            exchange.finishReply(contentType: "text/plain") { $0.append("x") }
        }
        for status in [200, 204, 207, 304, 418, 599] {
            client.get("/t?\(status)")
            let response = try client.response()
            let isBodyless = status == 204 || status == 304
            #expect(response.status == status && response.body == (isBodyless ? "" : "x"))
            #expect(response.field("Content-Length") == (isBodyless ? nil : "1"))
        }
    }

    @Test func problemsSayWhatAndWhy() throws {
        let client = try client { exchange in
            exchange.replyProblem(409, detail: "\"taken\"") {
                $0.addHeader("Retry-After", "1")
            } members: {
                $0.field("field", "name")
            }
        }
        client.get("/t")
        let response = try client.response()
        #expect(response.field("Content-Type") == "application/problem+json" && response.field("Retry-After") == "1")
        #expect(
            response.body
                == #"{"type":"about:blank","title":"Conflict","status":409,"detail":"\"taken\"","error":"\"taken\"","field":"name"}"#
        )
    }
}

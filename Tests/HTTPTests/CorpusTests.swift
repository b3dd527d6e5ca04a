import Testing

@testable import HTTP

/// Every case of the corpus against a live server, over a socket.
@Suite struct CorpusTests {
    private static let server = Result { try TestServer() }

    @Test(arguments: CorpusCase.all)
    func isAnsweredAsStated(_ example: CorpusCase) throws {
        let client = try CorpusTests.server.get().connect()
        client.send(example.bytes)
        let isOpenAfterwards = !example.closes && !example.statuses.isEmpty
        if isOpenAfterwards { client.get("/last") }
        // A server that waits for more is content with the end of what it waits for.
        if example.statuses.isEmpty { client.finishSending() }
        for status in example.statuses {
            let response = try client.response()
            #expect(response.status == status || (status == 200 && response.status == 204))
            #expect(response.field("Date")?.hasSuffix(" GMT") == true)
            if status >= 400 {
                #expect(response.field("Content-Type") == "application/problem+json")
                #expect(response.field("Connection") == "close")
                #expect(response.body.contains("\"status\":\(status),\"detail\":\""))
            }
        }
        if isOpenAfterwards {
            #expect(try client.response().body == "/last")
        } else {
            #expect(client.isAtEnd(), "\(String(decoding: client.unread, as: UTF8.self))")
        }
    }
}

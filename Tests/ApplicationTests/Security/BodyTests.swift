import EventLoops
import JSON
import Services
import TestSupport
import Testing

extension Security {
    /// Nobody makes us keep a body that will be refused for who sends it and where to.
    @Suite struct BodyTests {
        private static let file =
            tokenLine("ops", "admin", "ops-token") + tokenLine("ann", "check", "anns-token")

        private func server() throws -> TestServer {
            try TestServer(redis: try RedisServer.shared, tokens: try Tokens(file: Self.file))
        }

        /// The answer comes before a byte of the body, and before we ask for it.
        @Test(
            arguments: [
                ("POST", "/api/rate-limits/simulate", "nobodys", 401), ("POST", "/api/rate-limits/simulate", "", 401),
                ("POST", "/api/rate-limits", "anns-token", 403), ("POST", "/api/nothing", "ops-token", 404),
                ("PUT", "/api/rate-limits/check", "ops-token", 405),
                ("POST", "/api/rate-limits/check", "ops-token", 413),
            ])
        func aBodyThatIsNotTakenIsNotAskedFor(
            _ method: String, _ target: String, _ token: String, _ status: Int
        ) throws {
            let server = try server()
            let connection = try server.connect()
            let head =
                "\(method) \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\nX-Request-Id: one\r\n"
                + "Content-Length: 4000000\r\nExpect: 100-continue\r\n\r\n"
            try connection.send([Array(head.utf8)])
            let answer = try connection.receive()
            #expect(answer.status == status, "\(answer.text)")
            #expect(answer.header("Content-Type") == "application/problem+json")
            #expect(answer.header("Connection") == "close")
            if status < 404 { #expect(answer.header("X-Request-Id") == "one") }
            if status == 405 { #expect(answer.header("Allow") == "POST, OPTIONS") }
        }

        @Test func whoMaySendIsAskedTo() throws {
            let server = try server()
            let socket = try BlockingSocket(.tcp(host: "127.0.0.1", port: server.port))
            let body = #"{"identifier":"ann"}"#
            let head =
                "POST /api/rate-limits/check HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer anns-token\r\n"
                + "Content-Length: \(body.utf8.count)\r\nExpect: 100-continue\r\n\r\n"
            try socket.send(Array(head.utf8))
            #expect(try socket.readLine() == "HTTP/1.1 100 Continue")
            #expect(try socket.readLine() == "")
            try socket.send(Array(body.utf8))
            #expect(try socket.readLine() == "HTTP/1.1 200 OK")
        }

        /// A key that occurs twice is named, wherever it stands and however it is read.
        @Test func keysThatOccurTwiceAreNamed() throws {
            let server = try server()
            for (target, body, field) in [
                ("/api/rate-limits", #"{"name":"a","limit":1,"n\u0061me":"b"}"#, "name"),
                ("/api/rate-limits/check", #"{"identifier":"a","identifier":"b"}"#, "identifier"),
                ("/api/rate-limits/simulate", #"{"rule":{"limit":1,"limit":2},"requests":[]}"#, "rule.limit"),
                ("/api/rate-limits/check/bulk", #"{"checks":[],"checks":[]}"#, "checks"),
            ] {
                let answer = try server.request("POST", target, headers: bearer("ops-token"), body: body)
                #expect(answer.status == 400 && answer.json?["field"]?.string == field, "\(body): \(answer.text)")
            }
        }
    }
}

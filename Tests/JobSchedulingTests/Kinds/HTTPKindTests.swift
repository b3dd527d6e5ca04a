import Bytes
import Digests
import Glibc
import JSON
import JobScheduling
import Services
import TestSupport
import Testing

struct HTTPKindTests {
    /// Where the receivers of the tests are.
    private static let loopback = ["http-allow-private": "127.0.0.0/8"]
    private static let secret = "0123456789abcdef-of-a-test"

    private static func trial(_ settings: [String: String] = [:]) -> KindTrial<HTTPKind> {
        KindTrial(loopback.merging(settings) { $1 })
    }

    /// Settings with a file of secrets.
    private static func secrets(_ folder: TemporaryFolder, _ text: String) throws -> [String: String] {
        let path = folder.path + "/secrets"
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        return ["webhook-secrets": path]
    }

    // MARK: What is sent

    @Test func aRequestCarriesTheBodyAndWhoSendsIt() async throws {
        let receiver = try HTTPReceiver()
        let config = """
            {"url": "\(receiver.url)/hook?a=b", "method": "PUT", "headers": {"X-Shop": "1"}, "body": {"z": [1, null], "a": "ä"}}
            """
        for _ in 0..<2 { _ = try await HTTPKindTests.trial().run(config) }
        let request = receiver.requests.all[0]
        #expect(request.method == "PUT" && request.target == "/hook?a=b")
        #expect(request.text == #"{"z":[1,null],"a":"ä"}"#)
        #expect(request.values("Content-Type") == ["application/json"] && request.values("X-Shop") == ["1"])
        #expect(request.values("Idempotency-Key") == ["default-000000000007"])
        #expect(request.values("X-Quartermaster-Execution") == ["default-000000000007.42"])
        #expect(request.values("X-Quartermaster-Token") == ["42"])
        #expect(request.values("X-Quartermaster-Signature") == [] && request.values("traceparent") == [])
    }

    @Test func aSignatureCoversTheTimeAndTheBody() async throws {
        let receiver = try HTTPReceiver()
        let folder = try TemporaryFolder()
        let settings = try HTTPKindTests.secrets(
            folder, "# shops\nother 0123456789abcdef\nshop \(HTTPKindTests.secret)\r\n")
        let config = #"{"url": "\#(receiver.url)", "body": {"a": 1}, "signWith": "shop"}"#
        _ = try await HTTPKindTests.trial(settings).run(config)
        let signature = try #require(receiver.requests.all[0].values("X-Quartermaster-Signature").first)
        let parts = signature.split(separator: ",")
        let stamp = String(parts[0].dropFirst(2))
        let code = "\(stamp).{\"a\":1}".withByteView { message in
            HTTPKindTests.secret.withByteView { HMACSHA256.code(of: message, key: $0) }
        }
        let expected = ByteBuffer()
        code.withByteView { expected.append(hex: $0) }
        #expect(parts.count == 2 && parts[0].hasPrefix("t=") && parts[1] == "v1=\(expected.view.string)")
        let age = time(nil) - (try #require(Int(stamp)))
        #expect((0...60).contains(age))
    }

    @Test func secretsAreNamedAndNeverTold() async throws {
        let folder = try TemporaryFolder()
        let settings = try HTTPKindTests.secrets(folder, "shop \(HTTPKindTests.secret)\n")
        let config = #"{"url": "http://127.0.0.1/", "signWith": "other"}"#
        let refusal = try #require(await HTTPKindTests.trial(settings).refusal(config))
        #expect(refusal.field == "config.signWith" && refusal.kind == .impossible)
        // Where no secrets are known it may be that the workers know them. A worker that does not leaves the job to others.
        #expect(try await HTTPKindTests.trial().refusal(config) == nil)
        let failure = try #require(try await HTTPKindTests.trial().failure(config))
        #expect(!failure.isPermanent && failure.retryAfterMs == 30_000)
        for text in [
            "shop\n", "shop short\n", "shop \(HTTPKindTests.secret) more\n", "a 0123456789abcdef\na 0123456789abcdef\n",
        ] {
            #expect(await !HTTPKindTests.trial(try HTTPKindTests.secrets(folder, text)).isMade(), "\(text)")
        }
        #expect(await !HTTPKindTests.trial(["webhook-secrets": "/nowhere"]).isMade())
    }

    @Test func aGetHasNoBodyAndAnEmptyPostSaysSo() async throws {
        let receiver = try HTTPReceiver()
        _ = try await HTTPKindTests.trial().run(#"{"url": "\#(receiver.url)", "method": "GET"}"#)
        _ = try await HTTPKindTests.trial().run(#"{"url": "\#(receiver.url)"}"#)
        let requests = receiver.requests.all
        #expect(requests.map(\.method) == ["GET", "POST"] && requests[1].values("Content-Length") == ["0"])
        #expect(requests.allSatisfy { $0.values("Content-Type") == [] })
    }

    // MARK: What comes back

    @Test(arguments: [
        (200, #"{"a": [1]}"#, #"{"status":200,"body":{"a":[1]}}"#), (201, "plain", #"{"status":201,"body":"plain"}"#),
        (202, "", #"{"status":202}"#), (299, "7", #"{"status":299,"body":7}"#),
    ])
    func twoHundredsAreResults(_ status: Int, _ body: String, _ result: String) async throws {
        let receiver = try HTTPReceiver { _ in HTTPReceiver.answer(status, body: body) }
        #expect(try await HTTPKindTests.trial().run(#"{"url": "\#(receiver.url)"}"#)?.text() == result)
    }

    @Test func aLongAnswerIsCut() async throws {
        let receiver = try HTTPReceiver { _ in HTTPReceiver.answer(200, body: String(repeating: "a", count: 100_000)) }
        let result = try await HTTPKindTests.trial().run(#"{"url": "\#(receiver.url)"}"#)
        #expect(result?["body"]?.text?.utf8.count == 65_536 && result?["bodyCut"]?.flag == true)
    }

    @Test(arguments: [
        (408, false), (429, false), (500, false), (502, false), (503, false), (599, false), (400, true), (401, true),
        (404, true), (409, true), (410, true), (422, true), (301, true), (302, true), (304, true), (307, true),
    ])
    func otherStatusesFail(_ status: Int, _ isPermanent: Bool) async throws {
        let receiver = try HTTPReceiver { _ in
            HTTPReceiver.answer(
                status, headers: [("Location", "http://169.254.169.254/")], body: status == 304 ? "" : "no\nroom")
        }
        let failure = try #require(await HTTPKindTests.trial().failure(#"{"url": "\#(receiver.url)"}"#))
        #expect(failure.isPermanent == isPermanent && failure.retryAfterMs == nil)
        #expect(failure.message == "the answer was \(status)" + (status == 304 ? "" : ": no room"))
        #expect(receiver.requests.count == 1)
    }

    @Test(arguments: [("7", 7000), ("999999999", 86_400_000), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", nil)])
    func retryAfterIsHonoured(_ text: String, _ ms: Int?) async throws {
        for status in [429, 503] {
            let receiver = try HTTPReceiver { _ in HTTPReceiver.answer(status, headers: [("retry-after", text)]) }
            let failure = try await HTTPKindTests.trial().failure(#"{"url": "\#(receiver.url)"}"#)
            #expect(failure?.retryAfterMs == ms && failure?.isPermanent == false)
        }
    }

    @Test func connectionsThatFailAreTriedAgain() async throws {
        let silent = try HTTPReceiver { _ in nil }
        let timeout = try await HTTPKindTests.trial().failure(#"{"url": "\#(silent.url)", "timeoutMs": 100}"#)
        #expect(timeout == JobFailure("no answer within 100 ms"))
        let nobody = try await HTTPKindTests.trial().failure(#"{"url": "http://127.0.0.1:\#(try freePort())/"}"#)
        #expect(nobody?.isPermanent == false && nobody?.message.hasPrefix("no connection: ") == true)
        let broken = try HTTPReceiver { _ in "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n1" }
        #expect(try await HTTPKindTests.trial().failure(#"{"url": "\#(broken.url)"}"#)?.isPermanent == false)
    }

    @Test func cancellingEndsTheRequest() async throws {
        let receiver = try HTTPReceiver { _ in nil }
        await #expect(throws: JobCancelled.self) {
            try await HTTPKindTests.trial().run(#"{"url": "\#(receiver.url)"}"#, when: { receiver.requests.count > 0 })
        }
        #expect(await eventually { receiver.ended.count == 1 })
    }

    // MARK: What is refused

    @Test(arguments: [
        #"{}"#, #"{"url": "ftp://example.com/"}"#, #"{"url": "http://u:p@example.com/"}"#, #"{"url": 1}"#,
    ])
    func urlsAreChecked(_ config: String) async throws {
        #expect(try await HTTPKindTests.trial().refusal(config)?.field == "config.url")
    }

    @Test(arguments: [
        "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost", "169.254.169.254", "0.0.0.0", "10.0.0.1",
    ])
    func addressesOfOurOwnAreRefusedWhenTheJobIsMade(_ host: String) async throws {
        let refusal = try await KindTrial<HTTPKind>().refusal(#"{"url": "http://\#(host)/"}"#)
        #expect(refusal?.field == "config.url" && refusal?.kind == .impossible)
    }

    @Test func aNameThatLeadsInsideIsRefusedForGood() async throws {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, 255)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let receiver = try HTTPReceiver()
        let failure = try #require(
            await KindTrial<HTTPKind>().failure(#"{"url": "http://\#(host):\#(receiver.port)/", "timeoutMs": 5000}"#))
        // A machine that does not know its own name cannot look it up.
        #expect(failure.isPermanent || failure.message.contains("resolve"), "\(failure)")
        #expect(receiver.requests.count == 0)
    }

    @Test func onlyAllowedHostsAreCalled() async throws {
        let trial = KindTrial<HTTPKind>(["http-allowed-hosts": "api.example.com"])
        #expect(try await trial.refusal(#"{"url": "https://api.example.com/"}"#) == nil)
        #expect(try await trial.refusal(#"{"url": "https://example.com/"}"#)?.field == "config.url")
        #expect(await !KindTrial<HTTPKind>(["http-allowed-hosts": "a/b"]).isMade())
        #expect(await !KindTrial<HTTPKind>(["http-allow-private": "perhaps"]).isMade())
    }

    @Test(arguments: [
        (#""headers": {"Host": "a"}"#, "config.headers.Host"),
        (#""headers": {"content-length": "1"}"#, "config.headers.content-length"),
        (#""headers": {"Transfer-Encoding": "chunked"}"#, "config.headers.Transfer-Encoding"),
        (#""headers": {"Connection": "close"}"#, "config.headers.Connection"),
        (#""headers": {"X-Quartermaster-Token": "1"}"#, "config.headers.X-Quartermaster-Token"),
        (#""headers": {"Idempotency-Key": "1"}"#, "config.headers.Idempotency-Key"),
        (#""headers": {"A": "b\r\nHost: c"}"#, "config.headers.A"), (#""headers": {"A": " "}"#, "config.headers.A"),
        (#""headers": {"A": 1}"#, "config.headers.A"), (#""headers": {"A:b": "c"}"#, "config.headers"),
        (#""headers": {"A\r\nB": "c"}"#, "config.headers"), (#""headers": []"#, "config.headers"),
        (#""method": "TRACE""#, "config.method"), (#""method": "post""#, "config.method"),
        (#""method": "GET", "body": 1"#, "config.body"), (#""timeoutMs": 1"#, "config.timeoutMs"),
        (#""retries": 1"#, "config.retries"),
    ])
    func otherFieldsAreChecked(_ member: String, _ field: String) async throws {
        let refusal = try await HTTPKindTests.trial().refusal(#"{"url": "http://127.0.0.1/", \#(member)}"#)
        #expect(refusal?.field == field, "\(String(describing: refusal))")
    }
}

/// Through the queue.
struct HTTPJobTests {
    private static let settings = ["http-allow-private": "127.0.0.1"]

    @Test func aRetryIsTheSameToTheReceiver() async throws {
        let attempts = Journal<Int>()
        let receiver = try HTTPReceiver { _ in
            attempts.add(0)
            return HTTPReceiver.answer(attempts.count == 1 ? 503 : 200, headers: [("Retry-After", "1")], body: "{}")
        }
        let server = try JobServer(settings: HTTPJobTests.settings)
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        let answer = try server.send(
            "POST", "/api/jobs",
            #"{"name":"a","type":"http","backoff":{"baseMs":10},"config":{"url":"\#(receiver.url)","body":{"a":1}}}"#,
            headers: [("traceparent", trace)])
        let id = try #require(answer.json?["id"]?.text)
        try await server.awaits(id, "completed")
        let requests = receiver.requests.all
        #expect(requests.count == 2 && requests.allSatisfy { $0.values("Idempotency-Key") == [id] })
        #expect(requests.allSatisfy { $0.values("traceparent") == [trace] && $0.text == #"{"a":1}"# })
        let tokens = requests.compactMap { $0.values("X-Quartermaster-Token").first.flatMap { Int($0) } }
        #expect(tokens.count == 2 && tokens[0] < tokens[1])
        let history = try server.history(id)
        let gap = try #require(history[1]["startTime"]?.timeMs) - (try #require(history[0]["endTime"]?.timeMs))
        #expect(gap >= 990, "Retry-After, not the backoff")
        #expect(try server.send("GET", "/api/jobs/\(id)/result").text.contains(#""status":200"#))
    }

    @Test func whatCannotRunIsNotStored() throws {
        let server = try JobServer(works: false)
        let answer = try server.send(
            "POST", "/api/jobs", #"{"name":"a","type":"http","config":{"url":"http://127.0.0.1/"}}"#)
        #expect(answer.status == 422 && answer.json?["field"]?.text == "config.url")
        #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
    }

    @Test func aTimeoutOfTheJobEndsTheRequest() async throws {
        let receiver = try HTTPReceiver { _ in nil }
        let server = try JobServer(settings: HTTPJobTests.settings)
        let id = try server.create(#"{"name":"a","type":"http","timeout":150,"config":{"url":"\#(receiver.url)"}}"#)
        try await server.awaits(id, "timeout")
        #expect(await eventually { receiver.ended.count == 1 })
    }
}

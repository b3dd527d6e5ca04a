import EventLoops
import Glibc
import TestSupport
import Testing

@testable import Webhooks

struct OutgoingClientTests {
    @Test func requestsArriveAsTheyWereMeantOnOneConnection() async throws {
        let receiver = try HTTPReceiver { HTTPReceiver.answer(201, headers: [("X-A", "b")], body: $0.text) }
        let client = try await client()
        let url = try WebAddress(receiver.url + "/a%20b?c=d")
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let request = OutgoingRequest(method, url, headers: [("X-B", "c")], body: Array("{}".utf8))
            let response = try await client.send(request).get()
            #expect(response.status == 201 && response.header("x-a") == "b" && response.body == Array("{}".utf8))
            #expect(!response.isCut)
        }
        #expect(try await client.send(OutgoingRequest("GET", url)).get().status == 201)
        #expect(try await client.send(OutgoingRequest("DELETE", url)).get().status == 201)
        #expect(try await client.send(OutgoingRequest("POST", url)).get().status == 201)
        let requests = receiver.requests.all
        #expect(requests.map(\.method) == ["POST", "PUT", "PATCH", "DELETE", "GET", "DELETE", "POST"])
        #expect(requests.allSatisfy { $0.connection == 0 && $0.target == "/a%20b?c=d" })
        #expect(requests.allSatisfy { $0.values("host") == ["127.0.0.1:\(receiver.port)"] })
        #expect(requests[0].values("x-b") == ["c"] && requests[0].values("content-length") == ["2"])
        #expect(requests[6].values("content-length") == ["0"] && requests[4].values("content-length") == [])
        #expect(requests.allSatisfy { $0.values("content-type") == [] && $0.values("cookie") == [] })
    }

    @Test func largeBodiesDoNotWaitForAnInterimAnswer() async throws {
        let receiver = try HTTPReceiver()
        let body = [UInt8](repeating: 0x61, count: 3_000_000)
        let request = OutgoingRequest("POST", try WebAddress(receiver.url), body: body)
        #expect(try await client().send(request).get().status == 200)
        #expect(receiver.requests.all[0].values("expect") == [] && receiver.requests.all[0].body == body)
    }

    @Test func manyGoAtOnce() async throws {
        let receiver = try HTTPReceiver { HTTPReceiver.answer(200, body: $0.target) }
        let client = try await client()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for i in 0..<50 {
                group.addTask {
                    let response = try await client.get(receiver.url + "/\(i)").get()
                    #expect(String(decoding: response.body, as: UTF8.self) == "/\(i)")
                }
            }
            try await group.waitForAll()
        }
        #expect(receiver.requests.count == 50)
    }

    @Test func interimAnswersAreNotTheAnswer() async throws {
        let receiver = try HTTPReceiver { _ in
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + HTTPReceiver.answer(202, headers: [("Retry-After", "3")])
        }
        let response = try await client().get(receiver.url).get()
        #expect(response.status == 202 && response.header("link") == nil && response.header("retry-after") == "3")
    }

    @Test func redirectsAreAnswers() async throws {
        let receiver = try HTTPReceiver { _ in
            HTTPReceiver.answer(307, headers: [("Location", "http://169.254.169.254/")])
        }
        #expect(try await client().get(receiver.url).get().status == 307)
        #expect(receiver.requests.count == 1)
    }

    @Test func whatIsTooLongIsCut() async throws {
        let receiver = try HTTPReceiver {
            HTTPReceiver.answer(200, body: String(repeating: "a", count: Int($0.target.dropFirst())!))
        }
        let client = try await client()
        for (length, kept) in [(999, 999), (1000, 1000), (1001, 1000), (5_000_000, 1000)] {
            var request = OutgoingRequest("GET", try WebAddress(receiver.url + "/\(length)"))
            request.maxResponseBytes = 1000
            let response = try await client.send(request).get()
            #expect(response.body.count == kept && response.isCut == (length > kept), "\(length)")
        }
    }

    // MARK: Failures

    @Test func aSilentServerTimesOut() async throws {
        let receiver = try HTTPReceiver { _ in nil }
        let client = try await client()
        var request = OutgoingRequest("GET", try WebAddress(receiver.url))
        request.timeoutMs = 150
        let (result, tookUs) = try await elapsedUs { [request] in try await client.send(request) }
        #expect(result.error == .timedOut)
        #expect(tookUs >= 150_000)
        #expect(await eventually { receiver.ended.count == 1 })
    }

    @Test func cancellingEndsAtOnce() async throws {
        let receiver = try HTTPReceiver { _ in nil }
        let client = try await client()
        let request = OutgoingRequest("GET", try WebAddress(receiver.url))
        // It would be waited for for half a minute, and then have timed out.
        let (result, _) = try await elapsedUs {
            try await client.run { client in
                let cancellation = OutgoingCancellation()
                EventLoop.current!.spawn {
                    while receiver.requests.count == 0 { await EventLoop.current!.sleep(us: 1000) }
                    cancellation.cancel()
                    cancellation.cancel()
                }
                return await client.post(request, cancellation: cancellation)
            }
        }
        #expect(result.error == .cancelled)
        #expect(await eventually { receiver.ended.count == 1 })
        // One that was cancelled before does not begin.
        let other = try await client.run { client in
            let cancellation = OutgoingCancellation()
            cancellation.cancel()
            return await client.post(request, cancellation: cancellation)
        }
        #expect(other.error == .cancelled && receiver.requests.count == 1)
    }

    @Test func brokenAnswersAreFailures() async throws {
        let client = try await client()
        for bytes in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort", "Connection: close\r\n\r\n",
            "220 mail.example ESMTP Connection: close\r\n",
        ] {
            let receiver = try HTTPReceiver { _ in bytes }
            #expect(try await client.get(receiver.url).isBrokenOff, "\(bytes)")
        }
        #expect(try await client.get("http://127.0.0.1:\(try freePort())/").isUnreachable)
        #expect(try await client.get("http://no-such-name.invalid/").isUnreachable)
    }

    // MARK: Where it may go

    /// The check is made on the address that is connected to: names are what their owners say.
    @Test func namesThatLeadInsideAreRefusedBeforeAByteIsSent() async throws {
        let receiver = try HTTPReceiver()
        for addresses in [
            "127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254,127.0.0.1", "0.0.0.0", "[::1]", "[::]",
            "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[fd00:ec2::254],127.0.0.1", "[::ffff:0:7f00:1],127.0.0.1",
        ] {
            let names = ["inside.example:\(receiver.port):\(addresses)"]
            let url = "http://inside.example:\(receiver.port)/"
            #expect(try await client(inside: "", fixedNames: names).get(url).isRefused, "\(addresses)")
            #expect(try await client(inside: "", hosts: "*.example", fixedNames: names).get(url).isRefused)
        }
        #expect(receiver.requests.count == 0)
        // With the loopback allowed the same name is reached, so it was the address.
        let names = ["inside.example:\(receiver.port):127.0.0.1"]
        let url = "http://inside.example:\(receiver.port)/"
        #expect(try await client(inside: "127.0.0.0/8", fixedNames: names).get(url).get().status == 200)
    }

    /// A name that led to where it may is asked for again, and leads inside now: what was right before does not count.
    @Test func aNameThatChangesItsAddressIsJudgedAnew() async throws {
        let receiver = try HTTPReceiver { _ in HTTPReceiver.answer(200, headers: [("Connection", "close")]) }
        let client = try await client(
            inside: "127.0.0.1", fixedNames: ["rebinding.example:\(receiver.port):127.0.0.1"])
        let url = "http://rebinding.example:\(receiver.port)/"
        #expect(try await client.get(url).get().status == 200)
        try await client.run { $0.fixedNames = ["rebinding.example:\(receiver.port):127.0.0.2"] }
        #expect(try await client.get(url).isRefused)
        #expect(receiver.requests.count == 1)
    }

    /// Neither the place that a redirect names nor another protocol is gone to.
    @Test func noRedirectIsFollowedWhereverItLeads() async throws {
        let other = try HTTPReceiver()
        for target in [
            other.url, "https://127.0.0.1:\(other.port)/", "file:///etc/passwd", "//127.0.0.1:\(other.port)/",
        ] {
            for status in [301, 302, 303, 307, 308] {
                let receiver = try HTTPReceiver { _ in HTTPReceiver.answer(status, headers: [("Location", target)]) }
                let answer = try await client().get(receiver.url).get()
                #expect(answer.status == status && answer.body.isEmpty && receiver.requests.count == 1)
            }
        }
        #expect(other.requests.count == 0)
    }

    @Test(arguments: [
        "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "[::1]", "169.254.169.254",
    ])
    func urlsThatLeadInsideAreRefused(_ host: String) async throws {
        let receiver = try HTTPReceiver()
        #expect(try await client(inside: "").get("http://\(host):\(receiver.port)/").isRefused)
        #expect(receiver.requests.count == 0)
    }

    @Test func theEnvironmentNamesNoProxy() async throws {
        await #expect(processExitsWith: .success) {
            let receiver = try HTTPReceiver()
            for name in ["http_proxy", "all_proxy", "ALL_PROXY"] { setenv(name, "http://127.0.0.1:1", 1) }
            let result = try await client().get(receiver.url)
            #expect(result.response?.status == 200)
        }
    }

    // MARK: Certificates

    @Test func certificatesAreVerified() async throws {
        let server = try TLSServer(name: "good.example")
        let names = ["good.example", "other.example"].map { "\($0):\(server.port):127.0.0.1" }
        let stranger = try await client(fixedNames: names)
        #expect(try await stranger.get("https://good.example:\(server.port)/").isUnreachable)
        let friend = try await client(fixedNames: names, authorities: server.certificate)
        #expect(try await friend.get("https://good.example:\(server.port)/").get().status == 200)
        #expect(try await friend.get("https://other.example:\(server.port)/").isUnreachable)
    }
}

struct RetryAfterTests {
    private static let nowS = 1_445_412_480

    @Test func secondsAndDatesAreRead() {
        #expect(RetryAfter.ms("0", nowS: 5) == 0)
        #expect(RetryAfter.ms("120", nowS: 5) == 120_000)
        #expect(RetryAfter.ms("Wed, 21 Oct 2015 07:28:30 GMT", nowS: RetryAfterTests.nowS) == 30_000)
        #expect(RetryAfter.ms("Wednesday, 21-Oct-15 07:28:30 GMT", nowS: RetryAfterTests.nowS) == 30_000)
        #expect(RetryAfter.ms("Wed Oct 21 07:28:30 2015", nowS: RetryAfterTests.nowS) == 30_000)
        let own = "Wed, 21 Oct 2015 07:28:20 GMT"
        #expect(RetryAfter.ms("Wed, 21 Oct 2015 07:28:30 GMT", date: own, nowS: 5) == 10_000)
        #expect(RetryAfter.ms("Wed, 21 Oct 2015 07:28:30 GMT", date: "so", nowS: RetryAfterTests.nowS) == 30_000)
        #expect(RetryAfter.ms("Wed, 21 Oct 2015 07:27:30 GMT", nowS: RetryAfterTests.nowS) == 0)
    }

    @Test func nobodyWaitsForMoreThanADay() {
        #expect(RetryAfter.ms("86401", nowS: 5) == 86_400_000)
        #expect(RetryAfter.ms("99999999999999999999999", nowS: 5) == 86_400_000)
        #expect(RetryAfter.ms("Fri, 21 Oct 2050 07:28:00 GMT", nowS: RetryAfterTests.nowS) == 86_400_000)
    }

    @Test(arguments: ["", "-1", "soon", "1.5x", "NaN"])
    func otherTextsSayNothing(_ text: String) { #expect(RetryAfter.ms(text, nowS: 5) == nil) }
}

import JSON
import TestSupport
import Testing

/// Who is told of ends and of promises that were not kept.
struct AlertTests {
    @Test func aFailureATimeoutAndALateRunAreCalledOut() async throws {
        let receiver = try HTTPReceiver()
        let server = try JobServer(settings: ["http-allow-private": "127.0.0.0/8"])
        let settings = #"{"maxRunMs":100,"alertURL":"\#(receiver.url)/ops"}"#
        #expect(try server.send("PUT", "/api/job-types/simulated", settings).status == 200)
        let events = try server.server.connect()
        #expect(try events.subscribe("/api/jobs/events").status == 200)
        #expect(try events.nextEvent().name == "snapshot")
        let failed = try server.create(#"{"name":"f","type":"simulated","retries":0,"config":{"failTimes":1}}"#)
        let late = try server.create(#"{"name":"l","type":"simulated","config":{"durationMs":200}}"#)
        let timedOut = try server.create(
            #"{"name":"t","type":"simulated","timeout":300,"config":{"durationMs":60000}}"#)
        try await server.awaits(failed, "failed")
        try await server.awaits(late, "completed")
        try await server.awaits(timedOut, "timeout")
        #expect(await eventually { receiver.requests.count >= 4 })
        let told = receiver.requests.all.map { request -> String in
            let body = try? JSONValue(request.text)
            return "\(request.method) \(request.target) \(body?["event"]?.text ?? "") \(body?["job"]?.text ?? "")"
        }
        let expected = ["failed \(failed)", "sla \(late)", "sla \(timedOut)", "timeout \(timedOut)"]
        #expect(told.sorted() == expected.map { "POST /ops \($0)" })
        var words: Set<String> = []
        // Four jobs are told of, each a few times.
        for _ in 0..<100 where !words.isSuperset(of: expected) {
            let event = try events.nextEvent()
            words.insert("\(event.json?["event"]?.text ?? "") \(event.json?["job"]?.text ?? "")")
        }
        #expect(words.isSuperset(of: expected))
        let report = try #require(try server.send("GET", "/api/sla").json)
        let violations = report["violations"]?.elements ?? []
        #expect(violations.map { $0["what"]?.text } == ["run", "run"])
        #expect(Set(violations.compactMap { $0["job"]?.text }) == [late, timedOut])
        #expect(violations.allSatisfy { $0["promisedMs"]?.number == 100 && $0["actualMs"]?.number ?? 0 > 100 })
        let type = try #require(report["types"]?.elements.first { $0["type"]?.text == "simulated" })
        #expect(type["runViolations"]?.number == 2 && type["isMet"]?.flag == false)
        #expect(type["executions"]?.number == 3)
    }

    @Test func anAlertThatCouldNotBeSentIsRefused() throws {
        let server = try JobServer(works: false)
        for url in ["nowhere", "ftp://a.example/", "http://127.0.0.1/"] {
            let answer = try server.send("PUT", "/api/job-types/simulated", #"{"alertURL":"\#(url)"}"#)
            #expect(answer.status == 422 && answer.json?["field"]?.text == "alertURL", "\(url): \(answer.text)")
        }
        #expect(try server.send("PUT", "/api/job-types/simulated", #"{"alertURL":7}"#).status == 400)
    }

    @Test func anAlertGoesNowhereOnceItsURLIsTakenAway() async throws {
        let receiver = try HTTPReceiver()
        let server = try JobServer(settings: ["http-allow-private": "127.0.0.0/8"])
        for url in [receiver.url, ""] {
            #expect(try server.send("PUT", "/api/job-types/simulated", #"{"alertURL":"\#(url)"}"#).status == 200)
        }
        let failed = try server.create(#"{"name":"f","type":"simulated","retries":0,"config":{"failTimes":1}}"#)
        try await server.awaits(failed, "failed")
        #expect(try server.send("GET", "/api/jobs?type=http").json?.elements.isEmpty == true)
    }
}

import JSON
import TestSupport
import Testing

/// Bodies that are read on another thread and enqueued in parts.
struct LargeBodyTests {
    private static func jobs(_ count: Int, _ bytes: Int, last: String = "") -> String {
        let text = String(repeating: "x", count: bytes)
        let jobs = (0..<count).map { i in
            #"{"name":"j\#(i)","type":"simulated","config":{"result":"\#(text)"}\#(i == count - 1 ? last : "")}"#
        }
        return jobs.joined(separator: ",")
    }

    @Test func aLargeBulkIsStoredWholeAndOnce() async throws {
        let server = try JobServer()
        let body = #"{"jobs":[\#(LargeBodyTests.jobs(40, 100_000))]}"#
        var answers: [HTTPAnswer] = []
        for _ in 0..<2 {
            answers.append(try server.send("POST", "/api/jobs/bulk", body, headers: [("Idempotency-Key", "k")]))
        }
        #expect(answers[0].status == 201 && answers[0].text == answers[1].text)
        let ids = (answers[0].json?["jobs"]?.elements ?? []).compactMap { $0["id"]?.text }
        #expect(ids.count == 40)
        for id in ids { try await server.awaits(id, "completed") }
        let other = try server.send(
            "POST", "/api/jobs/bulk", body.replacing("j39", with: "j40"), headers: [("Idempotency-Key", "k")])
        #expect(other.status == 422 && other.json?["field"]?.text == "Idempotency-Key")
    }

    @Test func whatIsWrongInALargeBodyIsNamed() throws {
        let server = try JobServer(works: false)
        for (more, field) in [
            (#","retries":-1"#, "jobs[9].retries"), (#","queue":"other""#, "jobs[9].queue"),
            (#","dependencies":["nobody"]"#, "jobs[9].dependencies[0]"),
        ] {
            let jobs = LargeBodyTests.jobs(10, 10_000, last: more)
            for path in ["bulk", "batch"] {
                let answer = try server.send(
                    "POST", path == "bulk" ? "/api/jobs/bulk" : "/api/batches", #"{"jobs":[\#(jobs)]}"#)
                #expect(answer.json?["field"]?.text == field, "\(answer.text)")
            }
        }
        #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
    }

    @Test func aBatchOfLargeConfigsEnds() async throws {
        let server = try JobServer()
        let answer = try server.send("POST", "/api/batches", #"{"jobs":[\#(LargeBodyTests.jobs(9, 400_000))]}"#)
        let id = try #require(answer.json?["id"]?.text)
        #expect(answer.status == 201)
        let hasEnded = try await eventually { try server.send("GET", "/api/batches/\(id)").json?["status"]?.text == "ended" }
        #expect(hasEnded)
        #expect(try server.send("GET", "/api/batches/\(id)").json?["counts"]?["completed"]?.number == 9)
    }
}

/// What a batch cannot have is refused before or while it is made, and leaves nothing behind.
struct RefusedBatchTests {
    @Test func aCallbackThatWouldNotComeIsRefused() throws {
        let server = try JobServer(works: false)
        try server.create(#"{"name":"a","type":"simulated","unique":{"key":"taken"}}"#)
        for (more, field) in [
            (#""unique":{"key":"taken"}"#, "callback.unique"), (#""runAt":"2090-01-01T00:00:00Z""#, "callback"),
            (#""manual":true"#, "callback"), (#""schedule":"@daily""#, "callback"),
            (#""conflict":{"name":"n","strategy":"merge"}"#, "callback.conflict"),
            (#""dependencies":["default-000000000001"]"#, "callback.dependencies"),
            (#""dependencies":["foo"]"#, "callback.dependencies[0]"), (#""queue":"other""#, "callback.queue"),
        ] {
            let body =
                #"{"jobs":[{"name":"j","type":"simulated"}],"callback":{"name":"c","type":"simulated",\#(more)}}"#
            let answer = try server.send("POST", "/api/batches", body)
            #expect(answer.status == 422 && answer.json?["field"]?.text == field, "\(more): \(answer.text)")
        }
        #expect(try server.send("GET", "/api/jobs").json?.elements.count == 1)
    }

    /// The last of several calls is refused: those before it had stored their jobs.
    @Test func aBatchThatIsRefusedLeavesNoJobs() throws {
        let server = try JobServer(works: false)
        let jobs = (0..<1200).map { i in
            #"{"name":"j\#(i)","type":"simulated"\#(i == 1199 ? #","resources":{"gpu":1}"# : "")}"#
        }
        let callback = #"{"name":"c","type":"simulated"}"#
        for _ in 0..<2 {
            let answer = try server.send(
                "POST", "/api/batches", #"{"jobs":[\#(jobs.joined(separator: ","))],"callback":\#(callback)}"#,
                headers: [("Idempotency-Key", "k")])
            #expect(answer.status == 422 && answer.json?["field"]?.text == "jobs[1199].resources.gpu", "\(answer.text)")
            #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
            #expect(try server.figures()["waiting"]?.number == 0)
        }
    }
}

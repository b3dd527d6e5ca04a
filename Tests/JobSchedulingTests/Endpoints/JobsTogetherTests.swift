import JSON
import TestSupport
import Testing

/// Jobs that have to do with each other.
struct JobsTogetherTests {
    @Test func aDiamondStartsWhenBothSidesAreDone() async throws {
        let server = try JobServer()
        let ids = try server.createAll([
            #"{"name":"A","type":"simulated","config":{"durationMs":50}}"#,
            #"{"name":"B","type":"simulated","config":{"durationMs":120},"dependencies":["A"]}"#,
            #"{"name":"C","type":"simulated","dependencies":["A"]}"#,
            #"{"name":"D","type":"simulated","dependencies":["B","C"]}"#,
        ])
        try await server.awaits(ids[3], "completed")
        let start = try #require(try server.job(ids[3])["startedAt"]?.timeMs)
        for id in ids[1...2] { #expect(try #require(try server.job(id)["endedAt"]?.timeMs) <= start) }
    }

    @Test func aFailureSkipsItsDependantsAndStartsThoseForIt() async throws {
        let server = try JobServer()
        let ids = try server.createAll([
            #"{"name":"A","type":"simulated","retries":0,"config":{"failTimes":1,"durationMs":50}}"#,
            #"{"name":"B","type":"simulated","dependencies":["A"]}"#,
            #"{"name":"C","type":"simulated","dependencies":["B"]}"#,
            #"{"name":"D","type":"simulated","dependencies":[{"id":"A","on":"failure"}]}"#,
            #"{"name":"E","type":"simulated","dependencies":[{"id":"A","on":"completion"}]}"#,
        ])
        try await server.awaits(ids[4], "completed")
        try await server.awaits(ids[3], "completed")
        try await server.awaits(ids[2], "skipped")
        #expect(try server.job(ids[1])["reason"]?.text?.contains("failed") == true)
        let late = try server.create(
            #"{"name":"F","type":"simulated","dependencies":["\#(ids[0])"]}"#)
        #expect(try server.status(late) == "skipped")
    }

    @Test func aBatchCallsBackOnce() async throws {
        let server = try JobServer(settings: ["concurrency": "200"])
        let jobs = (0..<10_000).map {
            $0 % 100 == 0
                ? #"{"name":"j","type":"simulated","retries":0,"config":{"failTimes":1}}"#
                : #"{"name":"j","type":"simulated"}"#
        }
        let body =
            #"{"name":"b","callback":{"name":"done","type":"simulated"},"jobs":[\#(jobs.joined(separator: ","))]}"#
        let answer = try server.send("POST", "/api/batches", body, headers: [("Idempotency-Key", "k")])
        #expect(answer.status == 201, "\(answer.text)")
        let id = try #require(answer.json?["id"]?.text)
        let callback = try #require(answer.json?["callback"]?.text)
        try await server.awaits(callback, "completed")
        let batch = try #require(try server.send("GET", "/api/batches/\(id)").json)
        #expect(batch["status"]?.text == "ended" && batch["open"]?.number == 0)
        #expect(batch["counts"]?["completed"]?.number == 9900 && batch["counts"]?["failed"]?.number == 100)
        #expect(try server.job(callback)["runCount"]?.number == 1)
        // The same key names the same batch.
        let again = try server.send("POST", "/api/batches", body, headers: [("Idempotency-Key", "k")])
        #expect(again.json?["id"]?.text == id)
        #expect(try server.figures()["totals"]?["completed"]?.number == 9901)
    }

    @Test func oneIdempotencyKeyMakesOneJob() async throws {
        let server = try JobServer(works: false)
        let body = #"{"name":"a","type":"simulated"}"#
        let post = HTTPConnection.encode("POST", "/api/jobs", headers: [("Idempotency-Key", "one")], body: body)
        // On two replicas, all sent before the first answer is read.
        let other = try JobServer(prefix: server.server.prefix, works: false)
        let connections = try (0..<100).map { try ($0 % 2 == 0 ? server : other).server.connect() }
        for connection in connections { try connection.send([post]) }
        let answers = try connections.map { try $0.receive() }
        #expect(answers.allSatisfy { $0.status == 201 })
        let bodies = Set(answers.compactMap { $0.json?["id"]?.text })
        #expect(bodies.count == 1)
        #expect(try server.figures()["ready"]?.number == 1)
        let another = #"{"name":"b","type":"simulated","queue":"other"}"#
        #expect(try server.send("POST", "/api/jobs", another, headers: [("Idempotency-Key", "one")]).status == 422)
    }

    @Test func aUniqueKeyIsFreeAgainAtTheEnd() async throws {
        let server = try JobServer(works: false)
        let body = #"{"name":"a","type":"simulated","unique":{"key":"nightly {1}"}}"#
        let id = try server.create(body)
        let second = try server.send("POST", "/api/jobs", body)
        #expect(second.status == 200)
        #expect(second.json?["id"]?.text == id && second.json?["existing"]?.flag == true)
        #expect(try server.send("POST", "/api/jobs/\(id)/cancel").status == 200)
        #expect(try server.create(body) != id)
    }

    @Test func poolsAreNeverOverdrawn() async throws {
        let server = try JobServer()
        #expect(try server.send("PUT", "/api/resources", #"{"cpu":100}"#).status == 200)
        let ids = try server.createAll(
            [(60, 600_000), (50, 0), (30, 600_000)].map { units, ms in
                #"{"name":"j","type":"simulated","resources":{"cpu":\#(units)},"config":{"durationMs":\#(ms)}}"#
            })
        try await server.awaits(ids[2], "running")
        #expect(try server.status(ids[1]) == "waiting")
        #expect(try server.send("GET", "/api/resources").json?["cpu"]?["used"]?.number == 90)
        #expect(try server.send("POST", "/api/jobs/\(ids[0])/cancel").status == 202)
        try await server.awaits(ids[1], "completed")
        #expect(try server.send("POST", "/api/jobs/\(ids[2])/cancel").status == 202)
        #expect(try await eventually { try server.send("GET", "/api/resources").json?["cpu"]?["used"]?.number == 0 })
        let tooMuch = #"{"name":"x","type":"simulated","resources":{"cpu":200}}"#
        let refusal = try server.send("POST", "/api/jobs", tooMuch)
        #expect(refusal.status == 422 && refusal.json?["field"]?.text == "resources.cpu")
    }

    @Test func oneExecutionServesAllOfOneConfig() async throws {
        let server = try JobServer()
        let ids = try server.createAll(
            (0..<50).map {
                let config =
                    $0 % 2 == 0 ? #"{"durationMs":200,"result":[1]}"# : #"{"result":[1],"durationMs":200}"#
                return #"{"name":"j\#($0)","type":"simulated","cache":{"forMs":60000},"config":\#(config)}"#
            })
        for id in ids { try await server.awaits(id, "completed") }
        #expect(try ids.count { try server.job($0)["runCount"]?.number == 1 } == 1)
        let late = try server.send(
            "POST", "/api/jobs",
            #"{"name":"late","type":"simulated","cache":{"forMs":60000},"config":{"result":[1],"durationMs":200}}"#)
        #expect(late.json?["status"]?.text == "completed" && late.json?["fromCache"]?.flag == true)
        let result = try server.send("GET", "/api/jobs/\(try #require(late.json?["id"]?.text))/result")
        #expect(result.json?["result"] == .array([.int(1)]))
    }

    @Test func conflictsQueueOrCancel() async throws {
        let server = try JobServer()
        func job(_ name: String, _ strategy: String, _ extra: String = "") -> String {
            #"{"name":"\#(name)","type":"simulated","config":{"durationMs":200},"conflict":{"name":"db","strategy":"\#(strategy)"\#(extra)}}"#
        }
        let first = try server.create(job("first", "queue"))
        try await server.awaits(first, "running")
        let queued = try server.create(job("queued", "queue"))
        let cancelled = try server.create(job("cancelled", "cancel"))
        try await server.awaits(cancelled, "cancelled")
        try await server.awaits(queued, "completed")
        let firstEnd = try #require(try server.job(first)["endedAt"]?.timeMs)
        #expect(try #require(try server.job(queued)["startedAt"]?.timeMs) >= firstEnd)
    }

    @Test func aMergedJobTakesTheNewerConfig() async throws {
        let server = try JobServer(works: false)
        let ids = try [1, 2].map { value in
            try server.send(
                "POST", "/api/jobs",
                #"{"name":"m","type":"simulated","config":{"result":\#(value)},"conflict":{"name":"c","strategy":"merge"}}"#
            )
        }
        #expect(ids.map(\.status) == [201, 200])
        #expect(ids[1].json?["id"]?.text == ids[0].json?["id"]?.text && ids[1].json?["merged"]?.flag == true)
        #expect(ids[1].json?["config"]?["result"]?.number == 2)
    }
}

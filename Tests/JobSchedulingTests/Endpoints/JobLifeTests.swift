import JSON
import TestSupport
import Testing

/// What a user sees of single jobs: created, run, failed, tried again, cancelled.
struct JobLifeTests {
    @Test func aMinimalJobRunsByItself() async throws {
        let server = try JobServer()
        let answer = try server.send("POST", "/api/jobs", #"{"name":"a","type":"simulated"}"#)
        #expect(answer.status == 201)
        let id = try #require(answer.json?["id"]?.text)
        #expect(answer.header("location") == "/api/jobs/\(id)")
        try await server.awaits(id, "completed")
        let job = try server.job(id)
        #expect(job["runCount"]?.number == 1 && job["successCount"]?.number == 1 && job["failureCount"]?.number == 0)
        #expect(job["lastRun"]?.timeMs != nil)
        #expect(try server.history(id).map { $0["status"]?.text } == ["completed"])
    }

    @Test func withoutRetriesThereIsOneAttempt() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated","retries":0,"config":{"failTimes":9}}"#)
        try await server.awaits(id, "failed")
        #expect(try server.history(id).map { $0["status"]?.text } == ["failed"])
        #expect(try server.job(id)["error"]?.text == "failed as told to, attempt 1")
        #expect(try server.send("GET", "/api/dead").json?.elements.map { $0["id"]?.text } == [id])
    }

    @Test func retriesComeAfterTheirDelays() async throws {
        let server = try JobServer()
        let id = try server.create(
            #"{"name":"a","type":"simulated","backoff":{"baseMs":100},"config":{"failTimes":2}}"#)
        try await server.awaits(id, "completed")
        let history = try server.history(id)
        #expect(history.map { $0["status"]?.text } == ["failed", "failed", "completed"])
        #expect(history.map { $0["attempt"]?.number } == [1, 2, 3])
        for (k, delayMs) in [(1, 200), (2, 400)] {
            let gap = try #require(history[k]["startTime"]?.timeMs) - (try #require(history[k - 1]["endTime"]?.timeMs))
            #expect(gap >= delayMs / 2, "after attempt \(k)")
        }
    }

    @Test func permanentFailuresAreNotTriedAgain() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated","config":{"failTimes":9,"permanent":true}}"#)
        try await server.awaits(id, "failed")
        #expect(try server.job(id)["runCount"]?.number == 1)
        #expect(try server.send("POST", "/api/jobs/\(id)/retry").status == 200)
        #expect(
            try await eventually { try server.history(id).count == 2 && (try server.status(id)) == "failed" })
    }

    @Test func aTimeoutEndsTheRun() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated","timeout":150,"config":{"durationMs":60000}}"#)
        try await server.awaits(id, "timeout")
        let job = try server.job(id)
        let took = try #require(job["endedAt"]?.timeMs) - (try #require(job["startedAt"]?.timeMs))
        #expect(took >= 150 && took < 10_000)
        #expect(job["runCount"]?.number == 1)
    }

    @Test func aCancelledJobNeverStartsOrIsToldToEnd() async throws {
        let server = try JobServer()
        let later = try server.create(
            #"{"name":"later","type":"simulated","runAt":"2999-01-01T00:00:00Z"}"#)
        #expect(try server.send("POST", "/api/jobs/\(later)/cancel").status == 200)
        #expect(try server.status(later) == "cancelled")
        #expect(try server.send("POST", "/api/jobs/\(later)/cancel").status == 409)
        let running = try server.create(#"{"name":"long","type":"simulated","config":{"durationMs":60000}}"#)
        try await server.awaits(running, "running")
        #expect(try server.send("POST", "/api/jobs/\(running)/cancel").status == 202)
        try await server.awaits(running, "cancelled")
        #expect(try server.job(later)["runCount"]?.number == 0)
    }

    @Test func manualJobsRunWhenAskedTo() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated","manual":true}"#)
        #expect(try server.status(id) == "idle")
        for count in 1...2 {
            #expect(try server.send("POST", "/api/jobs/\(id)/run").status == 200)
            #expect(
                try await eventually {
                    try server.history(id).count { $0["status"]?.text == "completed" } == count
                })
        }
    }

    @Test func resultsAreKept() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated","config":{"result":{"rows":3}}}"#)
        try await server.awaits(id, "completed")
        let result = try server.send("GET", "/api/jobs/\(id)/result")
        #expect(result.json?["result"]?["rows"]?.number == 3)
    }

    @Test func editsTakeAVersion() async throws {
        let server = try JobServer(works: false)
        let body = #"{"name":"a","type":"simulated","priority":"low"}"#
        let id = try server.create(body)
        let edit = #"{"name":"b","type":"simulated","priority":"critical"}"#
        let answer = try server.send("PUT", "/api/jobs/\(id)", edit, headers: [("If-Match", "\"1\"")])
        #expect(answer.status == 200)
        #expect(answer.json?["name"]?.text == "b" && answer.json?["priority"]?.text == "critical")
        #expect(try server.send("PUT", "/api/jobs/\(id)", edit, headers: [("If-Match", "\"1\"")]).status == 412)
        #expect(try server.send("DELETE", "/api/jobs/\(id)").status == 204)
        #expect(try server.send("GET", "/api/jobs/\(id)").status == 404)
        #expect(try server.figures()["ready"]?.number == 0)
    }

    @Test func onlyWhatHasFailedIsTriedAgain() async throws {
        let server = try JobServer()
        let id = try server.create(#"{"name":"a","type":"simulated"}"#)
        try await server.awaits(id, "completed")
        #expect(try server.send("POST", "/api/jobs/\(id)/retry").status == 409)
        #expect(try server.status(id) == "completed")
        #expect(try server.send("POST", "/api/jobs/default-000000009999/run").status == 404)
    }
}

import JSON
import TestSupport
import Testing

/// What becomes of runs that fail, and of schedules and kinds that one replica alone cannot serve.
struct FailedRunTests {
    @Test func aFailedRunOfAScheduleIsSeenAndTriedAgain() async throws {
        let server = try JobServer()
        let schedule = try server.create(
            #"{"name":"s","type":"simulated","schedule":"@yearly","retries":0,"config":{"failTimes":1,"durationMs":0}}"#
        )
        let answer = try server.send("POST", "/api/jobs/\(schedule)/run")
        let run = try #require(answer.json?["runId"]?.text)
        #expect(try await eventually { try server.job(schedule)["failureCount"]?.number == 1 })
        #expect(try server.status(run) == "failed" && server.job(run)["scheduledBy"]?.text == schedule)
        for path in ["/api/dead", "/api/jobs?status=failed"] {
            #expect(try server.send("GET", path).json?.elements.map { $0["id"]?.text } == [run], "\(path)")
        }
        #expect(try server.history(schedule).map { $0["status"]?.text } == ["failed"])
        #expect(try server.send("POST", "/api/jobs/\(run)/retry").status == 200)
        #expect(try await eventually { try server.job(schedule)["failureCount"]?.number == 2 })
        #expect(try server.status(schedule) == "scheduled")
    }

    /// A zone that only the data of another replica has.
    @Test func aScheduleInAnUnknownZoneIsLeftToOthers() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let server = try JobServer(redis, prefix: prefix)
        let id = try server.create(
            #"{"name":"mars","type":"simulated","schedule":"@every 1s","timeZone":"Europe/Berlin"}"#)
        let key = prefix + "jobs:{default}:job:" + id.suffix(12)
        try redis.connect()("HSET", key, "timeZone", "Mars/Olympus_Mons")
        let other = try server.create(#"{"name":"earth","type":"simulated","schedule":"@every 1s"}"#)
        // Both were due by then.
        #expect(try await eventually { try server.job(other)["successCount"]?.number ?? 0 >= 3 })
        #expect(try server.status(id) == "scheduled" && server.job(id)["skippedSlots"] == nil)
        try redis.connect()("HSET", key, "timeZone", "Europe/Berlin")
        #expect(try await eventually { try server.job(id)["successCount"]?.number ?? 0 >= 1 })
    }

    @Test func aWorkerLeavesWhatItCannotRunToOthers() async throws {
        let server = try JobServer(settings: ["smtp-from": "a@example.com"])
        let mail = try server.create(
            #"{"name":"m","type":"email_sending","priority":"critical","config":{"to":"b@example.com","subject":"s","text":"t"}}"#
        )
        let other = try server.create(#"{"name":"a","type":"simulated","priority":"low"}"#)
        try await server.awaits(other, "completed")
        #expect(try server.status(mail) == "pending")
        #expect(throws: (any Error).self) { try JobServer(settings: ["types": "simulated,email_sending"]) }
    }

    @Test func anUnknownTypeSaysHowToDeclareOne() throws {
        let server = try JobServer(works: false)
        let answer = try server.send("POST", "/api/jobs", #"{"name":"a","type":"resize"}"#)
        #expect(answer.json?["detail"]?.text?.contains("PUT /api/job-types/resize") == true)
    }
}

import JSON
import TestSupport
import Testing

/// Jobs that run again and again.
struct ScheduleTests {
    @Test func everySlotRunsOnce() async throws {
        let server = try JobServer()
        let other = try JobServer(prefix: server.server.prefix)
        defer { withExtendedLifetime(other) {} }
        let id = try server.create(#"{"name":"tick","type":"simulated","schedule":"@every 1s"}"#)
        #expect(try server.status(id) == "scheduled")
        let firstMs = try #require(try server.job(id)["nextRun"]?.timeMs)
        #expect(firstMs % 1000 == 0)
        #expect(try await eventually { try server.job(id)["successCount"]?.number ?? 0 >= 3 })
        let cancelled = try server.send("POST", "/api/jobs/\(id)/cancel")
        #expect(cancelled.status == 200)
        let history = try server.history(id)
        #expect(history.count == (try server.job(id)["runCount"]?.number))
        // On a busy machine a run may start in the next one's second; there are never more than slots.
        let lastMs = history.compactMap { $0["startTime"]?.timeMs }.max() ?? 0
        #expect(history.count <= (lastMs - firstMs) / 1000 + 1, "\(history)")
        #expect(Set(history.compactMap { $0["jobId"]?.text }).count == history.count)
    }

    @Test func aRunOnDemandIsOneOfTheSchedules() async throws {
        let server = try JobServer()
        let id = try server.create(
            #"{"name":"yearly","type":"simulated","schedule":"@yearly","timeZone":"Europe/Berlin","config":{"result":5}}"#
        )
        let answer = try server.send("POST", "/api/jobs/\(id)/run")
        #expect(answer.status == 200 && answer.json?["runId"]?.text != nil)
        #expect(try await eventually { try server.job(id)["successCount"]?.number == 1 })
        #expect(try server.status(id) == "scheduled")
        #expect(try server.history(id).map { $0["status"]?.text } == ["completed"])
        #expect(try server.send("GET", "/api/jobs/\(id)/result").json?["result"]?.number == 5)
    }

    @Test func overlapForbidLeavesSlotsOut() async throws {
        let server = try JobServer()
        let id = try server.create(
            #"{"name":"slow","type":"simulated","schedule":"@every 1s","overlap":"forbid","config":{"durationMs":2500}}"#
        )
        #expect(try await eventually { try server.job(id)["successCount"]?.number ?? 0 >= 1 })
        #expect(try server.job(id)["skippedSlots"]?.number ?? 0 >= 1)
        let history = try server.history(id)
        for (before, after) in zip(history, history.dropFirst()) {
            #expect(try #require(before["endTime"]?.timeMs) <= (try #require(after["startTime"]?.timeMs)))
        }
    }

    @Test func previewsSayWhenAScheduleRuns() throws {
        let server = try JobServer(works: false)
        func runs(_ query: String) throws -> [String] {
            try server.send("GET", "/api/cron/preview?" + query).json?["runs"]?.elements.compactMap(\.text) ?? []
        }
        #expect(
            try runs("expression=*/5%20*%20*%20*%20*&from=2024-01-25T04:46:00Z&count=3")
                == ["2024-01-25T04:50:00+00:00", "2024-01-25T04:55:00+00:00", "2024-01-25T05:00:00+00:00"])
        #expect(
            try runs(
                "expression=30%202%20*%20*%20*&timeZone=America/New_York&from=2024-03-10T00:00:00-05:00&count=3")
                == ["2024-03-10T03:00:00-04:00", "2024-03-11T02:30:00-04:00", "2024-03-12T02:30:00-04:00"])
        for (query, status, field) in [
            ("", 400, "expression"), ("expression=60%20*%20*%20*%20*", 422, "expression"),
            ("expression=@daily&timeZone=Mars/Base", 422, "timeZone"),
            ("expression=@daily&from=now", 400, "from"), ("expression=@daily&count=0", 400, "count"),
        ] {
            let answer = try server.send("GET", "/api/cron/preview?" + query)
            #expect(answer.status == status && answer.json?["field"]?.text == field, "\(query): \(answer.text)")
        }
    }
}

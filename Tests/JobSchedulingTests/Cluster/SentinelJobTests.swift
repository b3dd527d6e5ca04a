import JSON
import TestSupport
import Testing

/// Jobs go on at the master that the Sentinels name.
@Suite(.serialized) struct SentinelJobTests {
    @Test func aFailoverLosesNoJobAndRunsNoneTwice() async throws {
        let sentinels = try RedisSentinels(replicas: 1)
        let server = try JobServer(url: sentinels.url, prefix: "t0:")
        func job(_ name: String, _ durationMs: Int) -> String {
            #"{"name":"\#(name)","type":"simulated","durability":"replicated","config":{"durationMs":\#(durationMs)}}"#
        }
        let ended = try server.create(job("ended", 0))
        try await server.awaits(ended, "completed")
        let long = try server.create(job("long", 600_000))
        let key = "t0:jobs:{default}:job:" + (long.split(separator: "-").last ?? "")
        #expect(try await eventually { try sentinels.servers[1].redis("HGET", key, "state").hasPrefix("running") })
        let execution = try sentinels.servers[1].redis("HGET", key, "state")
        try sentinels.failOver()
        // Safe only with the new master's replica, which the old one has to become first.
        var late = ""
        let isThere = try await eventually {
            let answer = try server.send("POST", "/api/jobs", job("late", 0), headers: [("Idempotency-Key", "late")])
            late = answer.json?["id"]?.text ?? ""
            return answer.status == 201
        }
        #expect(isThere)
        for id in [ended, late] {
            try await server.awaits(id, "completed")
            #expect(try server.history(id).count == 1, "\(id)")
        }
        // The execution that ran meanwhile is still the one, and its worker hears of what becomes of it.
        #expect(try sentinels.master().redis("HGET", key, "state") == execution)
        #expect(try server.send("POST", "/api/jobs/\(long)/cancel").status == 202)
        try await server.awaits(long, "cancelled")
        #expect(try server.history(long).count == 1)
        // Whoever asks tells the queue which server it talks to: the one that has it now.
        let info = try sentinels.master().redis("INFO", "server").split(whereSeparator: \.isNewline)
        let runID = info.first { $0.hasPrefix("run_id:") }?.dropFirst(7) ?? ""
        #expect(
            try await eventually { try sentinels.master().redis("HGET", "t0:jobs:{default}:clock", "server") == runID })
    }
}

import JSON
import TestSupport
import Testing

/// A Redis at its memory's limit takes nothing more, and lets what it has go.
struct StoreFullTests {
    private func body(_ name: String, _ more: String = "") -> String {
        #"{"name":"\#(name)","type":"simulated"\#(more)}"#
    }

    private func isFull(_ answer: HTTPAnswer) -> Bool {
        answer.status == 503 && answer.json?["type"]?.text == "/problems/store-full"
            && answer.header("retry-after") != nil
    }

    @Test func whatGrowsIsRefusedAndWhatDrainsGoesOn() async throws {
        let redis = try RedisServer()
        let server = try JobServer(redis, works: false)
        let ids = try server.createAll((0..<40).map { body("j\($0)") })
        let manual = try server.create(body("manual", #","manual":true"#))
        let schedule = try server.create(body("tick", #","schedule":"@every 1s""#))
        let batch = #"{"name":"b","jobs":[\#(body("x"))]}"#
        let lease = #"{"worker":"w","types":["simulated"],"max":3}"#
        let leased = try server.send("POST", "/api/workers/lease", lease).json?["executions"]?.elements ?? []
        #expect(leased.count == 3)
        let executions = leased.compactMap { $0["executionId"]?.text }
        try redis.redis("CONFIG", "SET", "maxmemory", "100kb")

        let key = [("Idempotency-Key", "k")]
        #expect(isFull(try server.send("POST", "/api/jobs", body("more"))))
        #expect(isFull(try server.send("POST", "/api/jobs", body("more"), headers: key)))
        #expect(isFull(try server.send("POST", "/api/jobs", body("more", #","queue":"another""#))))
        #expect(isFull(try server.send("POST", "/api/jobs/bulk", #"{"jobs":[\#(body("more"))]}"#)))
        #expect(isFull(try server.send("POST", "/api/batches", batch)))
        #expect(isFull(try server.send("POST", "/api/batches", batch, headers: [("Idempotency-Key", "b")])))
        #expect(isFull(try server.send("PUT", "/api/jobs/\(manual)", body("other", #","manual":true"#))))
        #expect(isFull(try server.send("POST", "/api/jobs/\(manual)/run")))
        let keys = try redis.redis("KEYS", "*batch*")
        #expect(keys.isEmpty, "\(keys)")

        let items = executions.map { #"{"executionId":"\#($0)"}"# }.joined(separator: ",")
        let renewed = try server.send("POST", "/api/workers/heartbeat", #"{"worker":"w","items":[\#(items)]}"#)
        #expect(renewed.json?["items"]?.elements.map { $0["ok"]?.flag } == [true, true, true], "\(renewed.text)")
        let ended = executions.map { #"{"executionId":"\#($0)","outcome":"completed","result":{"n":1}}"# }
        let finish = #"{"worker":"w","items":[\#(ended.joined(separator: ","))]}"#
        #expect(try server.send("POST", "/api/workers/finish", finish).status == 200)
        #expect(try server.send("POST", "/api/workers/lease", lease).json?["executions"]?.elements.count == 3)
        #expect(try server.send("POST", "/api/jobs/\(ids[39])/cancel").status == 200)
        #expect(try server.send("DELETE", "/api/jobs/\(ids[38])").status == 204)
        try server.pause()
        #expect(try server.figures()["paused"]?.flag != false)
        try server.resume()

        // A worker that begins while there is no memory does what waits, and takes back what nobody renews.
        let worker = try JobServer(redis, prefix: server.server.prefix)
        #expect(try await eventually { try server.figures()["ready"]?.number == 0 })
        try await server.awaits(ids[0], "completed")
        for id in ids[6..<38] { try await server.awaits(id, "completed") }
        let runs = try server.job(schedule)["runCount"]?.number ?? 0
        #expect(isFull(try server.send("POST", "/api/jobs", body("more"))))

        try redis.redis("CONFIG", "SET", "maxmemory", "0")
        try await server.awaits(try server.create(body("more")), "completed")
        #expect(try server.send("POST", "/api/jobs", body("more"), headers: key).status == 201)
        #expect(try await eventually { try server.job(schedule)["runCount"]?.number ?? 0 > runs })
        withExtendedLifetime(worker) {}
    }
}

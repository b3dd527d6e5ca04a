import Bytes
import EventLoops
import JSON
import TestSupport
import Testing

/// A replica whose clock is five minutes off changes no start, slot or lease: Redis's clock is everybody's.
@Suite struct JobClockTests {
    private static func replica(_ redis: RedisServer, offsetMs: Int) async throws -> Replica {
        try await Replica(
            ["serve", "--redis", redis.url, "--services", "jobs", "--loops", "1", "--with-worker"],
            environment: ["QM_CLOCK_OFFSET_MS": String(offsetMs)])
    }

    /// ms since the epoch.
    private static func time(_ value: JSONValue?) -> Int? {
        guard case .string(let text)? = value, let time = text.withByteView({ Timestamp(rfc3339: $0) }) else {
            return nil
        }
        return Int(time.us / 1000)
    }

    private static func job(_ api: Replica, _ id: String) throws -> JSONValue {
        try api.request("GET", "/api/jobs/\(id)").json ?? .null
    }

    private static func create(_ api: Replica, _ body: String) throws -> String {
        let answer = try api.request("POST", "/api/jobs", body: body)
        guard answer.status == 201, case .string(let id)? = answer.json?["id"] else {
            throw SetUpFailure("no job: \(answer.status) \(answer.text)")
        }
        return id
    }

    @Test func aClockThatIsOffDecidesNothing() async throws {
        let redis = try RedisServer()
        let ahead = try await JobClockTests.replica(redis, offsetMs: 300_000)
        let behind = try await JobClockTests.replica(redis, offsetMs: -300_000)
        for (one, other) in [(ahead, behind), (behind, ahead)] {
            func nowMs() -> Int { Int(WallClock.nowUs() / 1000) }
            let long = try JobClockTests.create(
                one, #"{"name":"long","type":"simulated","config":{"durationMs":4000}}"#)
            // The first slot of a schedule, and of an edited one.
            let tick = #"{"name":"tick","type":"simulated","schedule":"@every 1s"}"#
            let beforeMs = nowMs()
            let schedule = try JobClockTests.create(one, tick)
            let firstMs = try #require(JobClockTests.time(try JobClockTests.job(one, schedule)["nextRun"]))
            #expect(firstMs > beforeMs && firstMs <= nowMs() + 1000, "\(firstMs) at \(nowMs())")
            #expect(try other.request("PUT", "/api/jobs/\(schedule)", body: tick).status == 200)
            #expect(
                try await eventually {
                    guard case .int(let count)? = try JobClockTests.job(other, schedule)["successCount"] else {
                        return false
                    }
                    return count >= 3
                })
            #expect(try other.request("POST", "/api/jobs/\(schedule)/cancel").status == 200)
            #expect(try JobClockTests.job(one, schedule)["skippedSlots"] ?? .int(0) == .int(0))
            // A start.
            let dueMs = nowMs() + 1500
            let later = try JobClockTests.create(
                one, #"{"name":"later","type":"simulated","runAt":"\#(Timestamp(us: Int64(dueMs) * 1000).rfc3339)"}"#)
            #expect(
                try await eventually { try JobClockTests.job(other, later)["status"] == .string("completed") })
            let startMs = try #require(
                JobClockTests.time(try JobClockTests.job(one, later)["startedAt"]))
            #expect(startMs >= dueMs)
            // A lease: to a clock that is ahead it would have been over long ago.
            #expect(
                try await eventually { try JobClockTests.job(other, long)["status"] == .string("completed") })
            guard case .array(let history)? = try one.request("GET", "/api/jobs/\(long)/history").json else {
                throw SetUpFailure("no history")
            }
            #expect(history.count == 1, "\(history.map { $0.text() })")
        }
        for replica in [ahead, behind] { #expect(try await replica.program.terminate() == 0) }
    }
}

import EventLoops
import JSON
import TestSupport
import Testing

/// What becomes of slots when nobody was there.
struct MissedSlotTests {
    @Test func anOutageRunsNoneTheLatestOrAll() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let before = try JobServer(redis, prefix: prefix, works: false)
        // An hourly slot that is half an hour away, so that none comes while this runs.
        let minute = (Int(WallClock.nowUs() / 60_000_000) + 30) % 60
        func job(_ missed: String) -> String {
            #"{"name":"j","type":"simulated","schedule":"\#(minute) * * * *","missed":"\#(missed)"}"#
        }
        var ids: [String: String] = [:]
        for missed in ["none", "latest", "all"] { ids[missed] = try before.create(job(missed)) }
        before.server.stop()
        // As if everything had been down since five slots ago.
        let set = prefix + "jobs:{default}:schedules"
        for id in ids.values {
            let number = String(id.split(separator: "-").last ?? "")
            #expect(try redis.redis("ZINCRBY", set, String(-5 * 3_600_000), number) != "")
        }
        // Two who come back at once.
        let after = try [JobServer(redis, prefix: prefix), JobServer(redis, prefix: prefix)]
        let server = after[0]
        for (missed, count) in [("none", 0), ("latest", 1), ("all", 5)] {
            let id = try #require(ids[missed])
            #expect(
                try await eventually {
                    let job = try server.job(id)
                    return job["nextRun"]?.timeMs ?? 0 > Int(WallClock.nowUs() / 1000)
                        && job["successCount"]?.number == count
                })
            #expect(try server.job(id)["skippedSlots"]?.number ?? 0 == 5 - count, "\(missed)")
            #expect(try server.history(id).count == count, "\(missed)")
        }
        #expect(try server.figures()["totals"]?["completed"]?.number == 6)
        withExtendedLifetime(after) {}
    }
}

import Bytes
import JSON
import TestSupport
import Testing

/// Replicas whose clocks are five minutes off, either way: holds and jobs end and start by Redis's (limits are with
/// `ClockFleetTests`).
extension Fleet {
    @Suite(.serialized) struct ClockTests {
        private let redis: RedisServer
        private let replicas: [Replica]

        init() async throws {
            redis = try RedisServer()
            var replicas: [Replica] = []
            for offsetMs in [-300_000, 0, 300_000] {
                replicas.append(
                    try await Replica(
                        ["serve", "--with-worker", "--redis", redis.url, "--check-budget", "10000"],
                        environment: ["QM_CLOCK_OFFSET_MS": String(offsetMs)]))
            }
            self.replicas = replicas
        }

        @Test func holdsEndByRedissClock() throws {
            for (i, replica) in replicas.enumerated() {
                let product = #"{"name":"n","sku":"S\#(i)"}"#
                #expect(try replica.request("POST", "/api/products", body: product).status == 201)
                let stock = #"{"warehouseId":"warehouse-1","type":"set","quantity":5}"#
                #expect(try replica.request("POST", "/api/inventory/S\(i)/adjust", body: stock).status == 200)
                // Two minutes from now, which is in one's past and seven minutes away for another.
                let time = try redis.redis("TIME").split(separator: "\n")
                let end = ClockTests.text((Int64(time[0])! + 120) * 1_000_000)
                let hold = #"{"productId":"S\#(i)","warehouseId":"warehouse-1","quantity":5,"expiresAt":"\#(end)"}"#
                let made = try replica.request("POST", "/api/reservations", body: hold)
                #expect(made.status == 201, "\(made.text)")
                guard case .string(let id)? = made.json?["id"] else { continue }
                for other in replicas {
                    #expect(try other.request("GET", "/api/reservations/\(id)").json?["status"] == .string("active"))
                    let totals = try other.request("GET", "/api/inventory/S\(i)?warehouseId=warehouse-1").json
                    #expect(totals?["available"] == .int(0))
                }
            }
        }

        @Test func jobsStartAtTheirTimeAndKeepTheirLeases() async throws {
            // A run of longer than a lease's renewal, and one that is due in a minute.
            let time = try redis.redis("TIME").split(separator: "\n")
            let later = ClockTests.text((Int64(time[0])! + 60) * 1_000_000)
            var running: [String] = []
            for replica in replicas {
                let long = #"{"name":"long","type":"simulated","config":{"durationMs":6000}}"#
                let made = try replica.request("POST", "/api/jobs", body: long)
                guard case .string(let id)? = made.json?["id"] else { throw SetUpFailure(made.text) }
                running.append(id)
                let delayed = #"{"name":"later","type":"simulated","runAt":"\#(later)"}"#
                #expect(try replica.request("POST", "/api/jobs", body: delayed).status == 201)
            }
            for id in running {
                #expect(
                    try await eventually {
                        try replicas[0].request("GET", "/api/jobs/\(id)").json?["status"] == .string("completed")
                    })
                let history = try replicas[2].request("GET", "/api/jobs/\(id)/history").json
                if case .array(let entries)? = history { #expect(entries.count == 1, "\(id) ran more than once") }
            }
            guard case .array(let jobs)? = try replicas[2].request("GET", "/api/jobs").json else { return }
            let delayed = jobs.filter { $0["name"] == .string("later") }
            #expect(delayed.count == 3)
            for job in delayed { #expect(job["runCount"] == .int(0), "started before its time") }
        }

        private static func text(_ us: Int64) -> String {
            let buffer = ByteBuffer(capacity: 32)
            Timestamp(us: us).appendRFC3339(to: buffer)
            return buffer.view.string
        }
    }
}

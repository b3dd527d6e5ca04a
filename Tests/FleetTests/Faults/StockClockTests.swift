import Bytes
import JSON
import TestSupport
import Testing

/// Replicas whose clocks are five minutes off, either way: holds end by Redis's.
extension Fleet {
    @Suite(.serialized) struct StockClockTests {
        private let redis: RedisServer
        private let replicas: [Replica]

        init() async throws {
            redis = try RedisServer()
            var replicas: [Replica] = []
            for offsetMs in [-300_000, 0, 300_000] {
                replicas.append(
                    try await Replica(
                        ["serve", "--redis", redis.url, "--check-budget", "10000"],
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
                let end = StockClockTests.text((Int64(time[0])! + 120) * 1_000_000)
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

        private static func text(_ us: Int64) -> String {
            let buffer = ByteBuffer(capacity: 32)
            Timestamp(us: us).appendRFC3339(to: buffer)
            return buffer.view.string
        }
    }
}

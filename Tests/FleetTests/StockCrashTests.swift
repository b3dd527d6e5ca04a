import Glibc
import JSON
import TestSupport
import Testing

/// Random operations from many clients while replicas are killed: nothing is sold twice, nothing is lost.
extension Fleet {
    @Suite(.serialized) struct StockCrashTests {
        @Test func replicasDieUnderALoad() async throws {
            let random = SeededRandom()
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            var replicas: [Replica] = []
            for _ in 0..<3 { replicas.append(try await Replica.serve(redis, "--loops", "1", "--prefix", prefix)) }
            for sku in StockStorm.skus {
                let product = #"{"name":"n","sku":"\#(sku)"}"#
                #expect(try replicas[0].request("POST", "/api/products", body: product).status == 201)
                for warehouse in 1...2 {
                    let body = #"{"warehouseId":"warehouse-\#(warehouse)","type":"set","quantity":60}"#
                    #expect(try replicas[0].request("POST", "/api/inventory/\(sku)/adjust", body: body).status == 200)
                }
            }
            let storm = StockStorm(ports: replicas.map(\.port), clients: 8, seed: random.seed)
            let connection = try redis.connect()
            for turn in 0..<12 {
                let wanted = storm.answers + 1500
                #expect(
                    try await eventually {
                        try sample(connection, prefix, random.seed)
                        return storm.answers >= wanted
                    })
                let victim = turn % replicas.count
                replicas[victim].program.process.signal(SIGKILL)
                _ = try await replicas[victim].program.exitCode()
                replicas[victim] = try await Replica.serve(redis, "--loops", "1", "--prefix", prefix)
                storm.replace(victim, port: replicas[victim].port)
            }
            #expect(await storm.end())
            #expect(storm.wrong == [], "seed \(random.seed)")
            try sample(connection, prefix, random.seed)
            // Every hold, transfer and ledger entry adds up to the counters.
            let report = try replicas[0].request("POST", "/api/inventory/reconcile", body: "{}").json
            #expect(
                report?["checked"] == .int(3) && report?["drifts"] == .int(0),
                "seed \(random.seed) \(report?.text() ?? "")")
            for id in storm.reservations {
                #expect(try replicas[1].request("GET", "/api/reservations/\(id)").status == 200, "\(id) is gone")
            }
            for id in storm.transfers {
                #expect(try replicas[2].request("GET", "/api/transfers/\(id)").status == 200, "\(id) is gone")
            }
            #expect(storm.reservations.count > 100 && storm.lost > 0)
        }

        /// 0 ≤ reserved ≤ quantity, at this moment.
        private func sample(_ redis: RESPConnection, _ prefix: String, _ seed: UInt64) throws {
            for sku in StockStorm.skus {
                let words = try redis("HGETALL", prefix + "stock:{\(sku)}").elements.map(\.text)
                var counters: [String: Int] = [:]
                for i in stride(from: 0, to: words.count - 1, by: 2) { counters[words[i]] = Int(words[i + 1]) }
                for warehouse in ["warehouse-1", "warehouse-2"] {
                    let quantity = counters[warehouse + ":quantity"] ?? 0
                    let reserved = counters[warehouse + ":reserved"] ?? 0
                    #expect(0 <= reserved && reserved <= quantity, "seed \(seed) \(sku) \(warehouse) \(counters)")
                    #expect(counters[warehouse + ":inTransit"] ?? 0 >= 0)
                }
            }
        }
    }
}

import Glibc
import JSON
import TestSupport
import Testing

/// Orders over three slots of a cluster, whose makers are killed in the middle: whoever is left finishes or undoes them.
extension Fleet {
    @Suite(.serialized) struct OrderCrashTests {
        @Test func replicasDieInTheMiddleOfOrders() async throws {
            let random = SeededRandom()
            let cluster = try RedisCluster()
            let prefix = cluster.masters[0].prefix()
            let flags = ["serve", "--redis", cluster.url, "--loops", "1", "--prefix", prefix]
            var replicas: [Replica] = []
            for _ in 0..<3 { replicas.append(try await Replica(flags)) }
            let nodes = try Set(StockStorm.skus.map { try cluster.owner(ofSlot: cluster.slot(of: "{\($0)}")).port })
            #expect(nodes.count > 1, "all in one place")
            for sku in StockStorm.skus {
                let product = #"{"name":"n","sku":"\#(sku)"}"#
                #expect(try replicas[0].request("POST", "/api/products", body: product).status == 201)
                for warehouse in 1...2 {
                    let body = #"{"warehouseId":"warehouse-\#(warehouse)","type":"set","quantity":200}"#
                    #expect(try replicas[0].request("POST", "/api/inventory/\(sku)/adjust", body: body).status == 200)
                }
            }
            let storm = StockStorm(ports: replicas.map(\.port), clients: 8, seed: random.seed)
            for turn in 0..<9 {
                let wanted = storm.answers + 500
                #expect(await eventually { storm.answers >= wanted })
                let victim = turn % replicas.count
                replicas[victim].program.process.signal(SIGKILL)
                _ = try await replicas[victim].program.exitCode()
                replicas[victim] = try await Replica(flags)
                storm.replace(victim, port: replicas[victim].port)
            }
            #expect(await storm.end())
            #expect(storm.wrong == [], "seed \(random.seed)")
            #expect(storm.lost > 0)
            let orders = storm.reservations.filter { $0.hasPrefix("order~") }
            #expect(orders.count > 20)
            // What the dead have begun is taken up after a while.
            for id in orders {
                let isWhole = try await eventually { try isOfOneState(id, replicas[0]) }
                #expect(isWhole, "seed \(random.seed) \(id)")
            }
            let isClean = try await eventually {
                let report = try replicas[1].request("POST", "/api/inventory/reconcile", body: "{}").json
                return report?["checked"] == .int(3) && report?["drifts"] == .int(0)
            }
            #expect(isClean, "seed \(random.seed)")
        }

        /// All lines of a reservation that was answered with 201 are in the state of the whole.
        private func isOfOneState(_ id: String, _ replica: Replica) throws -> Bool {
            let answer = try replica.request("GET", "/api/reservations/\(id)")
            guard answer.status == 200, case .array(let lines)? = answer.json?["lines"],
                let state = answer.json?["status"]
            else { return false }
            return lines.count >= 2 && lines.allSatisfy { $0["status"] == state }
        }
    }
}

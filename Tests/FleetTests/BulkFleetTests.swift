import Glibc
import JSON
import TestSupport
import Testing

/// A bulk in the background, and the death of whoever is at it.
extension Fleet {
    @Suite(.serialized) struct BulkFleetTests {
        @Test func aBulkSurvivesTheDeathOfItsReplica() async throws {
            let redis = try RedisServer.shared
            let prefix = redis.prefix()
            let first = try await Replica.serve(redis, "--loops", "1", "--prefix", prefix)
            let skus = (0..<20).map { "S\($0)" }
            for sku in skus {
                let body = #"{"name":"n","sku":"\#(sku)"}"#
                #expect(try first.request("POST", "/api/products", body: body).status == 201)
            }
            let count = 30_000
            let rows = (0..<count).map { i in
                #"{"productId":"S\#(i % 20)","warehouseId":"warehouse-1","type":"add","quantity":1}"#
            }
            let body = #"{"adjustments":[\#(rows.joined(separator: ","))]}"#
            let answer = try first.request("POST", "/api/inventory/bulk-adjust", body: body)
            let place = try #require(answer.header("Location"))
            #expect(answer.status == 202)
            func figures(_ replica: Replica) throws -> (status: String, processed: Int, failed: Int) {
                let bulk = try #require(try replica.request("GET", place).json)
                guard case .string(let status)? = bulk["status"], case .int(let processed)? = bulk["processed"],
                    case .int(let failed)? = bulk["failed"]
                else { throw SetUpFailure("no bulk: \(bulk.text())") }
                return (status, processed, failed)
            }
            #expect(try blockingUntil { try figures(first).processed >= 500 })
            first.program.process.signal(SIGKILL)
            _ = try await first.program.exitCode()
            let second = try await Replica.serve(redis, "--loops", "1", "--prefix", prefix)
            let left = try figures(second)
            #expect(left.status == "running" && left.processed < count, "it was over before its replica died")
            #expect(try await eventually { try figures(second).status == "completed" })
            #expect(try figures(second) == ("completed", count, 0))
            for sku in skus {
                let stock = try second.request("GET", "/api/inventory/\(sku)?warehouseId=warehouse-1").json
                #expect(stock?["quantity"] == .int(count / 20), "\(sku)")
            }
        }
    }
}

import JSON
import TestSupport
import Testing

/// The inventory in real processes: what only the executable supplies.
@Suite struct StockFleetTests {
    @Test func eventsBecomeJobsOnce() async throws {
        let redis = try RedisServer()
        let replica = try await Replica.serve(
            redis, "--loops", "1", "--stock-webhook", "https://hooks.example/stock", "--stock-escalate", "100")
        #expect(try replica.request("POST", "/api/products", body: #"{"name":"A","sku":"A"}"#).status == 201)
        let stock = #"{"warehouseId":"warehouse-1","type":"set","quantity":8}"#
        #expect(try replica.request("POST", "/api/inventory/A/adjust", body: stock).status == 200)
        func jobs() throws -> [String: JSONValue] {
            guard case .array(let list)? = try replica.request("GET", "/api/jobs").json else { return [:] }
            return Dictionary(list.map { ("\($0["name"] ?? .null)", $0) }) { first, _ in
                Issue.record("two of \(first)")
                return first
            }
        }
        #expect(try await eventually { try jobs().count == 2 })
        let raised = try #require(try jobs().values.first { $0["name"] == .string("stock-low-stock") })
        #expect(raised["type"] == .string("http"))
        #expect(raised["config"]?["url"] == .string("https://hooks.example/stock"))
        let event = try #require(raised["config"]?["body"])
        #expect(event["sku"] == .string("A") && event["level"] == .string("warning"))
        #expect(try jobs().values.contains { $0["name"] == .string("stock-escalated") })
        // A replica that died after it had told this, and before it took it away.
        let connection = try RESPConnection(.unix(path: redis.socketPath))
        _ = try connection.command(["RPUSH", "qm:outbox:{A}", event.text()])
        for part in 0..<16 { _ = try connection.command(["ZADD", "qm:stock-due:{\(part)}", "1", "A"]) }
        #expect(try await eventually { try connection.command(["LLEN", "qm:outbox:{A}"]).text == "0" })
        #expect(try jobs().count == 2)
    }
}

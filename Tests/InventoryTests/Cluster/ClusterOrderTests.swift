import JSON
import TestSupport
import Testing

/// Orders over several slots, by many at once.
struct ClusterOrderTests {
    private static let skus = ClusterFixture.skus(3)

    private func shop(_ quantity: Int, replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(try ClusterFixture.shared, replicas: replicas)
        for sku in ClusterOrderTests.skus {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, quantity)
        }
        return stock
    }

    private func order(_ lines: [(String, Int)], _ more: String = "") -> StockServer.Request {
        let rows = lines.map { #"{"productId":"\#($0.0)","warehouseId":"warehouse-1","quantity":\#($0.1)}"# }
        let body = #"{"orderId":"order-1","lines":[\#(rows.joined(separator: ","))]\#(more)}"#
        return .init(method: "POST", path: "/api/reservations", body: body)
    }

    private func levels(_ stock: StockServer) throws -> [[Int]] {
        try ClusterOrderTests.skus.map { try stock.levels($0) }
    }

    /// Many orders over the same products in opposite orders: never more than there is, and nothing is left behind.
    @Test func nothingIsLeftBehind() throws {
        let stock = try shop(40, replicas: 2)
        let (a, b, c) = (ClusterOrderTests.skus[0], ClusterOrderTests.skus[1], ClusterOrderTests.skus[2])
        let (one, other) = (order([(a, 1), (b, 1), (c, 1)]), order([(c, 1), (b, 1), (a, 1)]))
        let answers = try stock.atOnce((0..<100).map { $0 / 2 % 2 == 0 ? one : other })
        let ids = answers.compactMap { $0.status == 201 ? $0.json?["id"]?.text : nil }
        #expect(answers.allSatisfy { $0.status == 201 || $0.status == 409 }, "\(answers.map(\.status))")
        #expect(ids.count == 40)
        #expect(try levels(stock) == Array(repeating: [40, 40, 0], count: 3))
        let ended = try stock.atOnce(
            ids.enumerated().map {
                .init(method: "PUT", path: "/api/reservations/\($1)/\($0 % 2 == 0 ? "confirm" : "cancel")")
            })
        #expect(ended.allSatisfy { $0.status == 200 })
        #expect(try levels(stock) == Array(repeating: [20, 0, 20], count: 3))
        #expect(try stock.send("POST", "/api/inventory/reconcile", "{}").text.contains(#""drifts":0"#))
    }

    @Test func oneUnderAKey() throws {
        let stock = try shop(100, replicas: 2)
        var request = order(ClusterOrderTests.skus.map { ($0, 2) })
        request.headers = [("Idempotency-Key", "k")]
        let answers = try stock.atOnce(12, request)
        #expect(
            answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.body)).count == 1, "\(answers.map(\.text))")
        #expect(try levels(stock) == Array(repeating: [100, 2, 98], count: 3))
    }

    @Test func lapsesAsAWhole() throws {
        let stock = try shop(10)
        let lines = ClusterOrderTests.skus.map { ($0, 4) }
        let id = try #require(try stock.atOnce([order(lines, #","expiresInMs":700"#)])[0].json?["id"]?.text)
        #expect(
            try blockingUntil { try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text == "expired" })
        #expect(try levels(stock) == Array(repeating: [10, 0, 10], count: 3))
        let whole = try stock.send("GET", "/api/reservations/\(id)").json?["lines"]?.elements
        #expect(whole?.compactMap { $0["status"]?.text } == ["expired", "expired", "expired"])
        let refused = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(refused.status == 409 && refused.text.contains("the reservation is expired"), "\(refused.text)")
    }

    /// A hold that one SKU's slot has lapsed ends all of the order, though the others had time.
    @Test func noneIsConfirmedWithoutTheOthers() throws {
        let stock = try shop(10)
        let id = try #require(try stock.atOnce([order(ClusterOrderTests.skus.map { ($0, 4) })])[0].json?["id"]?.text)
        let suffix = String(id.split(separator: "~")[1])
        let last = ClusterOrderTests.skus[2]
        let cluster = try ClusterFixture.shared
        try cluster.redis("ZADD", "\(stock.prefix)expiry:{\(last)}", "1", suffix)
        try cluster.redis("HSET", "\(stock.prefix)stock:{\(last)}", "nextExpiry", "1")
        let answer = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(answer.status == 409 && answer.text.contains("the reservation is expired"), "\(answer.text)")
        #expect(try levels(stock) == Array(repeating: [10, 0, 10], count: 3))
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 409)
    }
}

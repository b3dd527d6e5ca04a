import JSON
import TestSupport
import Testing

struct OrderTests {
    private static func order(_ lines: [(String, Int)], _ more: String = "") -> StockServer.Request {
        let rows = lines.map { #"{"productId":"\#($0.0)","warehouseId":"warehouse-1","quantity":\#($0.1)}"# }
        let body = #"{"orderId":"order-1","lines":[\#(rows.joined(separator: ","))]\#(more)}"#
        return .init(method: "POST", path: "/api/reservations", body: body)
    }

    private func shop(_ quantities: [String: Int], replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(replicas: replicas)
        for (sku, quantity) in quantities {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, quantity)
        }
        return stock
    }

    @Test func allOrNothing() throws {
        let stock = try shop(["A": 10, "B": 5])
        let refused = try stock.atOnce([OrderTests.order([("A", 3), ("B", 6)])])[0]
        #expect(refused.status == 409 && refused.text.contains("of B"))
        #expect(try stock.levels("A") == [10, 0, 10])
        let made = try stock.atOnce([OrderTests.order([("A", 3), ("B", 5), ("A", 1)])])[0]
        #expect(made.status == 201 && made.json?["status"]?.text == "active")
        #expect(made.json?["lines"]?.elements.map { $0["quantity"]?.number } == [4, 5])
        #expect(try stock.levels("A") == [10, 4, 6] && stock.levels("B") == [5, 5, 0])
        let id = try #require(made.json?["id"]?.text)
        #expect(id.hasPrefix("order~"))
        // A line isn't confirmed alone.
        let line = try #require(made.json?["lines"]?.elements[0]["id"]?.text)
        for word in ["confirm", "cancel", "extend"] {
            let body = word == "extend" ? #"{"expiresInMs":1000}"# : nil
            let answer = try stock.send("PUT", "/api/reservations/\(line)/\(word)", body)
            #expect(answer.status == 409 && answer.text.contains(id), "\(answer.text)")
        }
        let confirmed = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(confirmed.status == 200 && confirmed.json?["status"]?.text == "confirmed")
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").body == confirmed.body)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/cancel").status == 409)
        #expect(try stock.levels("A") == [6, 0, 6] && stock.levels("B") == [0, 0, 0])
        let listed = try stock.send("GET", "/api/reservations?orderId=order-1").json?["reservations"]?.elements
        #expect(listed?.compactMap { $0["id"]?.text } == [id])
    }

    /// Many orders over the same products in opposite orders.
    @Test func nothingIsLeftBehind() throws {
        let stock = try shop(["A": 50, "B": 50], replicas: 2)
        let one = OrderTests.order([("A", 1), ("B", 1)])
        let other = OrderTests.order([("B", 1), ("A", 1)])
        let answers = try stock.atOnce((0..<160).map { $0 / 2 % 2 == 0 ? one : other })
        #expect(answers.count { $0.status == 201 } == 50 && answers.count { $0.status == 409 } == 110)
        #expect(try stock.levels("A") == [50, 50, 0] && stock.levels("B") == [50, 50, 0])
        let ids = answers.compactMap { $0.status == 201 ? $0.json?["id"]?.text : nil }
        let ended = try stock.atOnce(
            ids.enumerated().map {
                .init(method: "PUT", path: "/api/reservations/\($1)/\($0 % 2 == 0 ? "confirm" : "cancel")")
            })
        #expect(ended.allSatisfy { $0.status == 200 })
        #expect(try stock.levels("A") == [25, 0, 25] && stock.levels("B") == [25, 0, 25])
    }

    @Test func aPartOfIt() throws {
        let stock = try shop(["A": 10, "B": 10])
        let id = try #require(try stock.atOnce([OrderTests.order([("A", 4), ("B", 4)])])[0].json?["id"]?.text)
        func lines(_ a: Int) -> String {
            #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":\#(a)}]}"#
        }
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm", lines(5)).status == 409)
        let answer = try stock.send("PUT", "/api/reservations/\(id)/confirm", lines(3))
        #expect(answer.json?["lines"]?.elements.map { $0["confirmedQuantity"]?.number } == [3, 0])
        #expect(try stock.levels("A") == [7, 0, 7] && stock.levels("B") == [10, 0, 10])
    }

    @Test func lapsesAsAWhole() async throws {
        let stock = try shop(["A": 10, "B": 10])
        let id = try #require(
            try stock.atOnce([OrderTests.order([("A", 4), ("B", 4)], #","expiresInMs":400"#)])[0].json?["id"]?.text)
        #expect(
            try await eventually { try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text == "expired" }
        )
        #expect(try stock.levels("A") == [10, 0, 10] && stock.levels("B") == [10, 0, 10])
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 409)
        let other = try #require(
            try stock.atOnce([OrderTests.order([("A", 1), ("B", 1)], #","expiresInMs":2000"#)])[0].json?["id"]?.text)
        let extended = try stock.send("PUT", "/api/reservations/\(other)/extend", #"{"expiresInMs":900000}"#)
        #expect(extended.status == 200)
        #expect(extended.json?["expiresAt"] == extended.json?["lines"]?.elements[1]["expiresAt"])
    }

    @Test func oneUnderAKey() throws {
        let stock = try shop(["A": 10, "B": 10], replicas: 2)
        var request = OrderTests.order([("A", 2), ("B", 1)])
        request.headers = [("Idempotency-Key", "k")]
        let answers = try stock.atOnce(10, request)
        #expect(answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.body)).count == 1)
        #expect(try stock.levels("A") == [10, 2, 8])
        var other = OrderTests.order([("A", 3), ("B", 1)])
        other.headers = request.headers
        #expect(try stock.atOnce([other])[0].status == 422)
    }

    /// The hold of a request for one product stays what it was: the order neither takes it over nor ends it.
    @Test func aKeyOfOneProductsReservationIsNoOrders() throws {
        let stock = try shop(["A": 10, "B": 10])
        var single = StockServer.reservation("A", 2)
        single.headers = [("Idempotency-Key", "k")]
        #expect(try stock.atOnce([single])[0].status == 201)
        for lines in [[("A", 7), ("B", 1)], [("B", 1), ("A", 2)], [("A", 2)]] {
            var order = OrderTests.order(lines)
            order.headers = single.headers
            let answer = try stock.atOnce([order])[0]
            #expect(answer.status == 422 && answer.json?["field"]?.text == "Idempotency-Key", "\(answer.text)")
        }
        #expect(try stock.levels("A") == [10, 2, 8] && stock.levels("B") == [10, 0, 10])
        #expect(try stock.atOnce([single])[0].status == 201)
    }

    @Test(arguments: [
        (#""lines":[]"#, "lines"), (#""lines":[{"productId":"A","quantity":1}]"#, "lines[0].warehouseId"),
        (#""lines":[{"productId":"A","quantity":0,"allocation":"any"}]"#, "lines[0].quantity"),
        (#""lines":[{"productId":"A","quantity":1,"allocation":"any","order":"distance"}]"#, "near"),
        (#""lines":null"#, "lines"),
    ])
    func badInput(_ body: String, _ field: String) throws {
        let stock = try shop(["A": 10])
        let answer = try stock.send("POST", "/api/reservations", "{\(body)}")
        #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
        #expect(try stock.levels("A") == [10, 0, 10])
    }
}

import JSON
import TestSupport
import Testing

struct TransferTests {
    private static func transfer(_ quantity: Int, from: Int = 1, to: Int = 2) -> StockServer.Request {
        let body =
            #"{"productId":"A","fromWarehouseId":"warehouse-\#(from)","toWarehouseId":"warehouse-\#(to)","quantity":\#(quantity)}"#
        return .init(method: "POST", path: "/api/transfers", body: body)
    }

    /// Quantity in both warehouses, and what is on its way to the second.
    private func whereItIs(_ stock: StockServer) throws -> [Int] {
        let rows = try stock.send("GET", "/api/inventory/A").json?["inventory"]?.elements ?? []
        return [
            rows[0]["quantity"]?.number ?? -1, rows[1]["inTransit"]?.number ?? -1, rows[1]["quantity"]?.number ?? -1,
        ]
    }

    @Test func nothingIsLostOnTheWay() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 100)
        let answers = try stock.atOnce(40, TransferTests.transfer(5))
        #expect(answers.count { $0.status == 201 } == 20 && answers.count { $0.status == 409 } == 20)
        let ids = answers.compactMap { $0.status == 201 ? $0.json?["id"]?.text : nil }
        #expect(try whereItIs(stock).reduce(0, +) == 100)
        for word in ["ship", "receive"] {
            for start in stride(from: 0, to: ids.count, by: 5) {
                let moved = try stock.atOnce(
                    ids[start..<start + 5].map { .init(method: "PUT", path: "/api/transfers/\($0)/\(word)") })
                #expect(moved.allSatisfy { $0.status == 200 })
                #expect(try whereItIs(stock).reduce(0, +) == 100)
            }
        }
        #expect(try whereItIs(stock) == [0, 0, 100])
        #expect(try stock.send("GET", "/api/transfers?status=received&limit=50").json?.elements.count == 20)
    }

    @Test func stepByStep() throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        var request = TransferTests.transfer(4)
        request.headers = [("Idempotency-Key", "1")]
        let made = try stock.atOnce(3, request)
        #expect(made.allSatisfy { $0.status == 201 } && Set(made.map(\.body)).count == 1)
        let id = try #require(made[0].json?["id"]?.text)
        #expect(try stock.levels("A") == [10, 4, 6])
        #expect(try stock.send("PUT", "/api/transfers/\(id)/receive").status == 409)
        let shipped = try stock.send("PUT", "/api/transfers/\(id)/ship")
        #expect(shipped.json?["status"]?.text == "in-transit")
        #expect(try stock.send("PUT", "/api/transfers/\(id)/ship").body == shipped.body)
        #expect(try whereItIs(stock) == [6, 4, 0])
        #expect(try stock.send("PUT", "/api/transfers/\(id)/receive", #"{"quantity":5}"#).status == 409)
        let received = try stock.send("PUT", "/api/transfers/\(id)/receive", #"{"quantity":3,"reason":"one broke"}"#)
        #expect(received.json?["receivedQuantity"]?.number == 3)
        #expect(try whereItIs(stock) == [6, 0, 3])
        #expect(try stock.send("PUT", "/api/transfers/\(id)/cancel").status == 409)
        #expect(try stock.send("GET", "/api/transfers/\(id)").body == received.body)
    }

    @Test(arguments: [false, true]) func cancelled(_ isUnderWay: Bool) throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        let id = try #require(try stock.atOnce([TransferTests.transfer(4)])[0].json?["id"]?.text)
        if isUnderWay { _ = try stock.send("PUT", "/api/transfers/\(id)/ship") }
        #expect(try stock.send("PUT", "/api/transfers/\(id)/cancel").status == 200)
        #expect(try stock.levels("A") == [10, 0, 10])
        #expect(try whereItIs(stock) == [10, 0, 0])
    }

    @Test func refusals() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        #expect(try stock.atOnce([TransferTests.transfer(1, to: 1)])[0].json?["field"]?.text == "toWarehouseId")
        #expect(try stock.atOnce([TransferTests.transfer(0)])[0].status == 400)
        #expect(try stock.atOnce([TransferTests.transfer(11)])[0].status == 409)
        #expect(try stock.atOnce([TransferTests.transfer(1, to: 9)])[0].status == 404)
        _ = try stock.send("PUT", "/api/warehouses/warehouse-2", #"{"name":"Closed","mayReceive":false}"#)
        #expect(try stock.atOnce([TransferTests.transfer(1)])[0].json?["field"]?.text == "toWarehouseId")
        #expect(try stock.levels("A") == [10, 0, 10])
    }

    @Test func countsAndWriteOffs() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        _ = try stock.hold("A", 4)
        let body = #"{"productId":"A","warehouseId":"warehouse-1","counted":9}"#
        let count = try stock.send("POST", "/api/counts", body)
        #expect(count.status == 201 && count.json?["difference"]?.number == -1)
        #expect(try stock.send("POST", "/api/counts", body.replacing("9", with: "3")).status == 409)
        let off = #"{"warehouseId":"warehouse-1","quantity":2,"reason":"water"}"#
        #expect(try stock.send("POST", "/api/inventory/A/write-off", off).json?["difference"]?.number == -2)
        #expect(try stock.send("POST", "/api/inventory/A/write-off", off.replacing("2", with: "4")).status == 409)
        #expect(try stock.levels("A") == [7, 4, 3])
        let ledger = try stock.command("XREVRANGE", stock.prefix + "ledger:{A}", "+", "-", "COUNT", "1")
        #expect(ledger.contains("write-off") && ledger.contains("water"))
    }
}

import JSON
import TestSupport
import Testing

/// Stock as it is shown and as it is adjusted, one product at a time.
struct AdjustTests {
    private func adjust(
        _ stock: StockServer, _ sku: String, _ members: String, headers: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try stock.send(
            "POST", "/api/inventory/\(sku)/adjust", #"{"warehouseId":"warehouse-1",\#(members)}"#, headers: headers)
    }

    @Test func stockIsShownAsTheSourceShowsIt() throws {
        let stock = try StockServer()
        let id = try stock.product("A")
        try stock.set("A", 10)
        try stock.set("A", 5, warehouse: "warehouse-2")
        _ = try stock.hold("A", 4)
        for name in ["A", id] {
            let shown = try #require(try stock.send("GET", "/api/inventory/\(name)").json)
            #expect(shown["product"]?["id"]?.text == id && shown["product"]?["name"]?.text == "A thing")
            let rows = try #require(shown["inventory"]?.elements)
            #expect(
                rows.map { $0["warehouseName"]?.text } == [
                    "Main Warehouse", "Secondary Warehouse", "Regional Warehouse",
                ])
            #expect(rows.map { $0["warehouseLocation"]?.text } == ["Mumbai", "Delhi", "Bangalore"])
            #expect(rows.map { $0["quantity"]?.number } == [10, 5, 0])
            #expect(rows.map { $0["reserved"]?.number } == [4, 0, 0])
            #expect(rows.map { $0["available"]?.number } == [6, 5, 0])
            #expect(rows.allSatisfy { $0["productId"]?.text == id })
            let totals = ["totalQuantity", "totalReserved", "totalAvailable"].map { shown["totals"]?[$0]?.number }
            #expect(totals == [15, 4, 11])
            let one = try #require(try stock.send("GET", "/api/inventory/\(name)?warehouseId=warehouse-2").json)
            #expect(one == rows[1])
        }
        #expect(try stock.send("GET", "/api/inventory/A?warehouseId=w").status == 404)
        #expect(try stock.send("GET", "/api/inventory/B").status == 404)
        #expect(try stock.send("GET", "/api/inventory/00000000-0000-4000-8000-000000000000").status == 404)
    }

    @Test func addSubtractSet() throws {
        let stock = try StockServer()
        let id = try stock.product("A")
        let added = try #require(try adjust(stock, id, #""type":"add","quantity":7,"reason":"delivery""#).json)
        #expect(
            added["adjustment"]?["previousQuantity"]?.number == 0 && added["adjustment"]?["reason"]?.text == "delivery")
        #expect(added["adjustment"]?["productId"]?.text == id && added["adjustment"]?["type"]?.text == "add")
        #expect(added["adjustment"]?["id"]?.text?.hasPrefix("A~") == true)
        #expect(added["newInventory"]?["quantity"]?.number == 7 && added["newInventory"]?["available"]?.number == 7)
        #expect(added["newInventory"]?["lastUpdated"] == added["adjustment"]?["timestamp"])
        let less = try #require(try adjust(stock, "A", #""type":"subtract","quantity":3"#).json)
        #expect(less["adjustment"]?["previousQuantity"]?.number == 7 && less["newInventory"]?["quantity"]?.number == 4)
        #expect(try adjust(stock, "A", #""type":"set","quantity":0"#).status == 200)
        #expect(try stock.levels("A") == [0, 0, 0])
    }

    @Test(arguments: [
        (#""type":"add","quantity":-5"#, "quantity"), (#""type":"add","quantity":0"#, "quantity"),
        (#""type":"add","quantity":1.5"#, "quantity"), (#""type":"add","quantity":"5""#, "quantity"),
        (#""type":"add","quantity":null"#, "quantity"), (#""type":"add","quantity":9007199254740992"#, "quantity"),
        (#""type":"add""#, "quantity"), (#""type":"subtract","quantity":0"#, "quantity"),
        (#""type":"set","quantity":-1"#, "quantity"), (#""type":"take","quantity":1"#, "type"),
        (#""quantity":1"#, "type"), (#""type":"set","quantity":1,"expected":-1"#, "expected"),
        (#""type":"set","quantity":1,"warehouse":"w""#, "warehouse"),
    ])
    func aWrongQuantityChangesNothing(_ members: String, _ field: String) throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let answer = try adjust(stock, "A", members)
        #expect(answer.status == 400 && answer.json?["field"]?.text?.hasSuffix(field) == true, "\(answer.text)")
        #expect(try stock.levels("A") == [10, 0, 10])
        #expect(try stock.command("XLEN", stock.prefix + "ledger:{A}") == "1")
    }

    @Test func whatIsReservedStays() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        _ = try stock.hold("A", 4)
        for members in [#""type":"subtract","quantity":7"#, #""type":"set","quantity":3"#] {
            let answer = try adjust(stock, "A", members)
            #expect(answer.status == 409 && answer.json?["field"]?.text == "quantity")
            #expect(answer.json?["quantity"]?.number == 10 && answer.json?["reserved"]?.number == 4, "\(answer.text)")
        }
        #expect(try adjust(stock, "A", #""type":"subtract","quantity":6"#).status == 200)
        #expect(try stock.levels("A") == [4, 4, 0])
    }

    @Test func theExpectedQuantityMustBeThere() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let refused = try adjust(stock, "A", #""type":"set","quantity":3,"expected":9"#)
        #expect(refused.status == 409 && refused.json?["field"]?.text == "expected")
        #expect(try adjust(stock, "A", #""type":"set","quantity":3,"expected":10"#).status == 200)
        let most = try adjust(stock, "A", #""type":"add","quantity":9007199254740991"#)
        #expect(most.status == 409)
        #expect(try stock.levels("A") == [3, 0, 3])
    }

    @Test func oneKeyAdjustsOnce() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        try stock.product("A")
        let body = #"{"warehouseId":"warehouse-1","type":"add","quantity":5}"#
        let answers = try stock.atOnce(
            20, .init(method: "POST", path: "/api/inventory/A/adjust", body: body, headers: [("Idempotency-Key", "k")]))
        #expect(answers.allSatisfy { $0.status == 200 } && Set(answers.map(\.body)).count == 1)
        #expect(try stock.levels("A") == [5, 0, 5])
        let other = try adjust(stock, "A", #""type":"add","quantity":6"#, headers: [("Idempotency-Key", "k")])
        #expect(other.status == 422 && other.json?["field"]?.text == "Idempotency-Key")
        #expect(try stock.levels("A") == [5, 0, 5])
    }

    @Test func aWarehouseMayRefuseToReceive() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 5)
        let closed = #"{"name":"Main Warehouse","mayReceive":false}"#
        #expect(try stock.send("PUT", "/api/warehouses/warehouse-1", closed).status == 200)
        let refused = try adjust(stock, "A", #""type":"add","quantity":1"#)
        #expect(refused.status == 409 && refused.json?["field"]?.text == "warehouseId")
        #expect(try adjust(stock, "A", #""type":"subtract","quantity":1"#).status == 200)
    }

    @Test func whatHasLapsedIsFreeForWhoeverLooks() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let id = try stock.hold("A", 10, #","expiresInMs":300"#)
        #expect(try stock.levels("A") == [10, 10, 0])
        // In the first moment after its end, when no sweep has come by: three times, since one may have by chance.
        for _ in 0..<2 {
            try await passes(stock, ms: 300)
            #expect(try stock.levels("A") == [10, 0, 10])
            _ = try stock.hold("A", 10, #","expiresInMs":300"#)
        }
        try await passes(stock, ms: 300)
        #expect(try stock.levels("A") == [10, 0, 10])
        #expect(try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text == "expired")
    }

    /// Waits until Redis's clock is that much later.
    private func passes(_ stock: StockServer, ms: Int) async throws {
        func now() throws -> Int {
            let words = try stock.command("TIME").split(separator: "\n").compactMap { Int($0) }
            return words[0] * 1000 + words[1] / 1000
        }
        let end = try now() + ms
        #expect(try await eventually { try now() > end })
    }

    @Test func nobodyIsFoundUnderAnUnknownName() throws {
        let stock = try StockServer()
        try stock.product("A")
        #expect(try adjust(stock, "B", #""type":"add","quantity":1"#).status == 404)
        let nowhere = #"{"warehouseId":"nowhere","type":"add","quantity":1}"#
        #expect(try stock.send("POST", "/api/inventory/A/adjust", nowhere).status == 404)
        #expect(try stock.command("EXISTS", stock.prefix + "stock:{B}") == "0")
    }
}

import JSON
import TestSupport
import Testing

struct ReservationTests {
    @Test(arguments: [1, 2]) func neverMoreThanThereIs(_ replicas: Int) throws {
        let stock = try StockServer(replicas: replicas, loops: replicas)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 100)
        let answers = try stock.atOnce(500, StockServer.reservation("A", 1))
        #expect(answers.count { $0.status == 201 } == 100 && answers.count { $0.status == 409 } == 400)
        let ids = Set(answers.compactMap { $0.status == 201 ? $0.json?["id"]?.text : nil })
        #expect(ids.count == 100 && ids.allSatisfy { $0.hasPrefix("A~") })
        #expect(try stock.levels("A") == [100, 100, 0])
        let refusal = answers.first { $0.status == 409 }?.json
        #expect(refusal?["available"]?.number == 0 && refusal?["requested"]?.number == 1)
    }

    @Test func whatIsLeftIsServed() throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        let answers = try stock.atOnce(20, StockServer.reservation("A", 3))
        #expect(answers.count { $0.status == 201 } == 3)
        #expect(try stock.reserve("A", 1).status == 201)
        #expect(try stock.reserve("A", 1).status == 409)
    }

    @Test func confirmedOnce() throws {
        let stock = try StockServer()
        let product = try stock.product("A")
        try stock.set("A", 10)
        let made = try stock.reserve("A", 4, #","orderId":"order-1""#)
        let hold = made.json
        #expect(made.status == 201 && hold?["status"]?.text == "active" && hold?["orderId"]?.text == "order-1")
        #expect(hold?["productId"]?.text == product && hold?["sku"]?.text == "A" && hold?["quantity"]?.number == 4)
        let id = try #require(hold?["id"]?.text)
        let confirmed = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(confirmed.status == 200 && confirmed.json?["status"]?.text == "confirmed")
        #expect(try stock.levels("A") == [6, 0, 6])
        let again = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(again.status == 200 && again.body == confirmed.body)
        #expect(try stock.levels("A") == [6, 0, 6])
        let cancelled = try stock.send("PUT", "/api/reservations/\(id)/cancel")
        #expect(cancelled.status == 409 && cancelled.text.contains("confirmed"))
        #expect(try stock.send("GET", "/api/reservations/\(id)").body == confirmed.body)
        let listed = try stock.send("GET", "/api/reservations?orderId=order-1").json?["reservations"]?.elements
        #expect(listed?.map { $0["id"]?.text } == [id])
    }

    @Test func cancelledOnce() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        try stock.product("A")
        try stock.set("A", 10)
        let id = try stock.hold("A", 7)
        #expect(try stock.levels("A") == [10, 7, 3])
        let answers = try stock.atOnce(50, .init(method: "PUT", path: "/api/reservations/\(id)/cancel"))
        #expect(answers.allSatisfy { $0.status == 200 } && Set(answers.map(\.body)).count == 1)
        #expect(try stock.levels("A") == [10, 0, 10])
    }

    @Test func oneOfConfirmAndCancelWins() throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 40)
        var left = 40
        for _ in 0..<20 {
            let id = try stock.hold("A", 1)
            let answers = try stock.atOnce([
                .init(method: "PUT", path: "/api/reservations/\(id)/confirm"),
                .init(method: "PUT", path: "/api/reservations/\(id)/cancel"),
            ])
            #expect(answers.map(\.status).sorted() == [200, 409])
            if answers[0].status == 200 { left -= 1 }
        }
        #expect(try stock.levels("A") == [left, 0, left])
    }

    @Test func partOfIt() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let id = try stock.hold("A", 4)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm", #"{"quantity":5}"#).status == 409)
        let answer = try stock.send("PUT", "/api/reservations/\(id)/confirm", #"{"quantity":3}"#)
        #expect(answer.status == 200 && answer.json?["confirmedQuantity"]?.number == 3)
        #expect(try stock.levels("A") == [7, 0, 7])
    }

    @Test func whatHasLapsedIsFree() async throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        let id = try stock.hold("A", 10, #","expiresInMs":1500"#)
        #expect(try stock.reserve("A", 1).status == 409)
        // Nobody reads it in between.
        #expect(try await eventually { try stock.reserve("A", 10).status == 201 })
        let old = try stock.send("GET", "/api/reservations/\(id)").json
        #expect(old?["status"]?.text == "expired" && old?["expiredAt"]?.text != nil)
        #expect(try stock.levels("A") == [10, 10, 0])
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 409)
    }

    @Test func whatHasLapsedIsSwept() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        _ = try stock.hold("A", 10, #","expiresInMs":200"#)
        let key = stock.prefix + "stock:{A}"
        // By the upkeep: this looks at Redis only.
        #expect(try await eventually { try stock.command("HGET", key, "warehouse-1:reserved") == "0" })
        #expect(try stock.levels("A") == [10, 0, 10])
    }

    /// A product that is at rest costs nothing: it is swept once after its last change by a script.
    @Test func restIsRest() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        func due() throws -> Int {
            try (0..<16).reduce(0) {
                $0 + (Int(try stock.command("ZCARD", stock.prefix + "stock-due:{\($1)}")) ?? 0)
                    + (Int(try stock.command("ZCARD", stock.prefix + "stock-due:{\($1)}:taken")) ?? 0)
            }
        }
        #expect(try due() == 1)
        #expect(try await eventually { try due() == 0 })
    }

    @Test func aReadReleasesFirst() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let id = try stock.hold("A", 10, #","expiresInMs":300"#)
        #expect(try await eventually { try stock.levels("A") == [10, 0, 10] })
        #expect(try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text == "expired")
    }

    @Test func oneHoldUnderAKey() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        try stock.product("A")
        try stock.set("A", 100)
        var request = StockServer.reservation("A", 2)
        request.headers = [("Idempotency-Key", "order 7")]
        let answers = try stock.atOnce(20, request)
        #expect(answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.body)).count == 1)
        #expect(try stock.levels("A") == [100, 2, 98])
        // What it was answered with, whatever has become of it.
        let id = try #require(answers[0].json?["id"]?.text)
        _ = try stock.send("PUT", "/api/reservations/\(id)/extend", #"{"expiresInMs":9000000}"#)
        _ = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        #expect(try stock.atOnce([request])[0].body == answers[0].body)
        var other = StockServer.reservation("A", 3)
        other.headers = request.headers
        #expect(try stock.atOnce([other])[0].status == 422)
        #expect(try stock.levels("A") == [98, 0, 98])
    }

    @Test(arguments: [
        ("-5", "quantity"), ("0", "quantity"), ("1.5", "quantity"), (#"1,"qu\u0061ntity":2"#, "quantity"),
        (#""5""#, "quantity"), ("null", "quantity"),
        ("9007199254740992", "quantity"), (#"1,"expiresInMs":0"#, "expiresInMs"), (#"1,"priority":101"#, "priority"),
        (#"1,"expiresAt":"2020-01-01T00:00:00Z""#, "expiresAt"), (#"1,"expiresAt":"tomorrow""#, "expiresAt"),
        (#"1,"allocation":"any""#, "allocation"), (#"1,"colour":"red""#, "colour"),
        (#"1,"orderId":"\u0007""#, "orderId"),
    ])
    func badInputChangesNothing(_ quantity: String, _ field: String) throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        let body = #"{"productId":"A","warehouseId":"warehouse-1","quantity":\#(quantity)}"#
        let answer = try stock.send("POST", "/api/reservations", body)
        #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
        #expect(try stock.levels("A") == [10, 0, 10])
    }

    @Test func whatIsNotThere() throws {
        let stock = try StockServer()
        try stock.product("A")
        #expect(try stock.reserve("B", 1).status == 404)
        #expect(try stock.reserve("7b0ef6d4-9b1d-4b7b-8d4c-2f3f4b5c6d7e", 1).status == 404)
        let body = #"{"productId":"A","warehouseId":"nowhere","quantity":1}"#
        #expect(try stock.send("POST", "/api/reservations", body).status == 404)
        #expect(try stock.send("GET", "/api/reservations/A~00000000000000000000").status == 404)
        #expect(try stock.send("PUT", "/api/reservations/A~00000000000000000000/confirm").status == 404)
        #expect(try stock.send("PUT", "/api/reservations/x/cancel").status == 404)
    }

    @Test func whereverThereIsSome() throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 3)
        try stock.set("A", 5, warehouse: "warehouse-2")
        func ask(_ quantity: Int, _ allocation: String) throws -> HTTPAnswer {
            let body = #"{"productId":"A","quantity":\#(quantity),"allocation":"\#(allocation)"}"#
            return try stock.send("POST", "/api/reservations", body)
        }
        #expect(try ask(4, "any").json?["warehouseId"]?.text == "warehouse-2")
        #expect(try ask(4, "any").status == 409)
        let split = try ask(4, "split").json
        let parts = split?["allocations"]?.elements.map {
            "\($0["warehouseId"]?.text ?? "") \($0["quantity"]?.number ?? 0)"
        }
        #expect(parts == ["warehouse-1 3", "warehouse-2 1"])
        let id = try #require(split?["id"]?.text)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/cancel").status == 200)
        #expect(try stock.levels("A") == [3, 0, 3])
        #expect(try stock.levels("A", warehouse: "warehouse-2") == [5, 4, 1])
        // The nearest first.
        let near =
            #"{"productId":"A","quantity":1,"allocation":"any","order":"distance","near":{"latitude":28,"longitude":77}}"#
        #expect(try stock.send("POST", "/api/reservations", near).json?["warehouseId"]?.text == "warehouse-2")
    }

    @Test func aShareIsKeptForThoseWithPriority() throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        let warehouse = #"{"name":"Main Warehouse","keptPerMille":250}"#
        #expect(try stock.send("PUT", "/api/warehouses/warehouse-1", warehouse).status == 200)
        #expect(try stock.reserve("A", 8).json?["available"]?.number == 7)
        #expect(try stock.reserve("A", 7).status == 201)
        #expect(try stock.reserve("A", 1).status == 409)
        #expect(try stock.reserve("A", 3, #","priority":1"#).status == 201)
    }
}

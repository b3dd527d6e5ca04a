import Bytes
import JSON
import TestSupport
import Testing

/// Holds that are changed, replaced, or ended in another way than before.
struct HoldChangeTests {
    private func shop(_ quantity: Int = 10, replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(replicas: replicas)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", quantity)
        return stock
    }

    private func put(_ stock: StockServer, _ id: String, _ body: String) throws -> HTTPAnswer {
        try stock.send("PUT", "/api/reservations/\(id)", body)
    }

    // MARK: Another quantity

    @Test func anotherQuantity() throws {
        let stock = try shop()
        var request = StockServer.reservation("A", 4)
        request.headers = [("Idempotency-Key", "k")]
        let made = try stock.atOnce([request])[0]
        let id = try #require(made.json?["id"]?.text)
        let more = try put(stock, id, #"{"quantity":7}"#)
        #expect(more.status == 200 && more.json?["quantity"]?.number == 7)
        #expect(try stock.levels("A") == [10, 7, 3])
        #expect(try put(stock, id, #"{"quantity":7}"#).body == more.body)
        let short = try put(stock, id, #"{"quantity":11}"#)
        #expect(short.status == 409 && short.json?["available"]?.number == 10)
        #expect(try put(stock, id, #"{"quantity":2}"#).json?["quantity"]?.number == 2)
        #expect(try stock.levels("A") == [10, 2, 8])
        // A repeated request is answered as the first was.
        #expect(try stock.atOnce([request])[0].body == made.body)
        #expect(try put(stock, id, #"{"quantity":0}"#).json?["field"]?.text == "quantity")
        #expect(try put(stock, id, #"{"quantity":2,"x":1}"#).json?["field"]?.text == "x")
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").json?["quantity"]?.number == 2)
        #expect(try put(stock, id, #"{"quantity":3}"#).status == 409)
        #expect(try put(stock, "A~00000000000000000000", #"{"quantity":3}"#).status == 404)
        #expect(try stock.levels("A") == [8, 0, 8])
        #expect(try stock.send("POST", "/api/inventory/reconcile", "{}").json?["drifts"]?.number == 0)
    }

    @Test func aPartOfSeveralWarehouses() throws {
        let stock = try shop(3)
        try stock.set("A", 5, warehouse: "warehouse-2")
        let body = #"{"productId":"A","allocation":"split","quantity":6}"#
        let id = try #require(try stock.send("POST", "/api/reservations", body).json?["id"]?.text)
        #expect(try put(stock, id, #"{"quantity":2}"#).json?["warehouseId"]?.text == "warehouse-1")
        #expect(try stock.levels("A") == [3, 2, 1] && stock.levels("A", warehouse: "warehouse-2") == [5, 0, 5])
    }

    /// One that waits asks for less, and gets it.
    @Test func ofOneThatWaits() throws {
        let stock = try shop(3)
        let id = try #require(try stock.reserve("A", 5, #","backorder":true"#).json?["id"]?.text)
        let changed = try put(stock, id, #"{"quantity":3}"#)
        #expect(changed.status == 200)
        let now = try stock.send("GET", "/api/reservations/\(id)").json
        #expect(now?["status"]?.text == "active" && now?["quantity"]?.number == 3)
    }

    @Test func aLineOfAnOrderIsNotChanged() throws {
        let stock = try shop()
        let order = #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":2}]}"#
        let made = try stock.send("POST", "/api/reservations", order).json
        let whole = try #require(made?["id"]?.text)
        let line = try #require(made?["lines"]?.elements[0]["id"]?.text)
        #expect(try put(stock, whole, #"{"quantity":1}"#).status == 409)
        #expect(try put(stock, line, #"{"quantity":1}"#).status == 409)
    }

    // MARK: In another one's place

    @Test func inAnothersPlace() throws {
        let stock = try shop()
        let old = [try stock.hold("A", 6), try stock.hold("A", 4)]
        #expect(try stock.reserve("A", 9).status == 409)
        let list = #","replaces":["\#(old[0])","\#(old[1])"]"#
        #expect(try stock.reserve("A", 11, list).status == 409)
        #expect(try stock.levels("A") == [10, 10, 0])
        let new = try stock.reserve("A", 9, list)
        #expect(new.status == 201)
        #expect(try stock.levels("A") == [10, 9, 1])
        for id in old {
            let hold = try stock.send("GET", "/api/reservations/\(id)").json
            #expect(hold?["status"]?.text == "cancelled" && hold?["replacedBy"]?.text == new.json?["id"]?.text)
        }
        #expect(try stock.reserve("A", 1, list).status == 409)
        #expect(try stock.levels("A") == [10, 9, 1])
    }

    @Test func whatCannotBeReplaced() throws {
        let stock = try shop()
        try stock.product("B")
        try stock.set("B", 5)
        let other = try stock.hold("B", 1)
        for (value, field) in [
            (#"["\#(other)"]"#, "replaces[0]"), (#"["x"]"#, "replaces[0]"),
            (#"["A~00000000000000000000"]"#, "replaces"),
            (#"["A~00000000000000000000","A~00000000000000000000"]"#, "replaces[1]"),
        ] {
            let answer = try stock.reserve("A", 1, #","replaces":\#(value)"#)
            #expect([400, 409].contains(answer.status) && answer.json?["field"]?.text == field, "\(answer.text)")
        }
        let hold = try stock.hold("A", 1)
        let both = try stock.reserve("A", 1, #","backorder":true,"replaces":["\#(hold)"]"#)
        #expect(both.status == 400 && both.json?["field"]?.text == "replaces")
        #expect(try stock.levels("A") == [10, 1, 9] && stock.levels("B") == [5, 1, 4])
    }

    // MARK: Once, and in one way

    @Test func aSecondPartIsNotConfirmed() throws {
        let stock = try shop()
        let id = try stock.hold("A", 5)
        func confirm(_ body: String?, key: String? = nil) throws -> HTTPAnswer {
            try stock.send(
                "PUT", "/api/reservations/\(id)/confirm", body, headers: key.map { [("Idempotency-Key", $0)] } ?? [])
        }
        let first = try confirm(#"{"quantity":2}"#, key: "a")
        #expect(first.status == 200 && first.json?["confirmedQuantity"]?.number == 2)
        #expect(try confirm(#"{"quantity":2}"#, key: "a").body == first.body)
        #expect(try confirm(#"{"quantity":2}"#).body == first.body)
        for (body, key) in [(#"{"quantity":3}"#, nil), (nil, nil), (#"{"quantity":2}"#, "b")] as [(String?, String?)] {
            let second = try confirm(body, key: key)
            #expect(second.status == 409 && second.json?["detail"]?.text?.contains("2 of 5") == true, "\(second.text)")
        }
        #expect(try stock.levels("A") == [8, 0, 8])
        let whole = try stock.hold("A", 3)
        for (body, status) in [(nil, 200), (#"{"quantity":3}"#, 200), (#"{"quantity":1}"#, 409)] as [(String?, Int)] {
            #expect(try stock.send("PUT", "/api/reservations/\(whole)/confirm", body).status == status)
        }
    }

    @Test func aSecondPartOfAnOrderIsNotConfirmed() throws {
        let stock = try shop()
        let order = #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":4}]}"#
        let id = try #require(try stock.send("POST", "/api/reservations", order).json?["id"]?.text)
        func confirm(_ quantity: Int?) throws -> Int {
            let line = quantity.map { #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":\#($0)}]}"# }
            return try stock.send("PUT", "/api/reservations/\(id)/confirm", line).status
        }
        #expect(try [confirm(1), confirm(1), confirm(3), confirm(nil)] == [200, 200, 409, 409])
        #expect(try stock.levels("A") == [9, 0, 9])
    }

    @Test func aSecondPartIsNotReceived() throws {
        let stock = try shop()
        let body = #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":4}"#
        let id = try #require(try stock.send("POST", "/api/transfers", body).json?["id"]?.text)
        _ = try stock.send("PUT", "/api/transfers/\(id)/ship")
        func receive(_ quantity: Int?) throws -> Int {
            let body = quantity.map { #"{"quantity":\#($0)}"# }
            return try stock.send("PUT", "/api/transfers/\(id)/receive", body).status
        }
        #expect(try [receive(1), receive(1), receive(3), receive(nil)] == [200, 200, 409, 409])
        #expect(try stock.levels("A", warehouse: "warehouse-2") == [1, 0, 1])
    }

    // MARK: When it ends

    @Test(arguments: ["product", "order", "extend"]) func notTooFarAway(_ what: String) throws {
        let stock = try shop(100)
        let line = #"{"productId":"A","warehouseId":"warehouse-1","quantity":1}"#
        let id = what == "extend" ? try stock.hold("A", 1) : ""
        func status(_ days: Int) throws -> HTTPAnswer {
            let time = try RESPConnection(.unix(path: stock.redis.socketPath)).command(["TIME"]).elements[0].text
            let end = Timestamp(us: ((Int64(time) ?? 0) + Int64(days) * 86_400) * 1_000_000).rfc3339
            return try put(end)
        }
        func put(_ end: String) throws -> HTTPAnswer {
            switch what {
            case "product": try stock.reserve("A", 1, #","expiresAt":"\#(end)""#)
            case "order": try stock.send("POST", "/api/reservations", #"{"expiresAt":"\#(end)","lines":[\#(line)]}"#)
            default: try stock.send("PUT", "/api/reservations/\(id)/extend", #"{"expiresAt":"\#(end)"}"#)
            }
        }
        #expect(try status(29).status < 300)
        for answer in [try status(31), try put("9999-12-31T23:59:59Z")] {
            #expect(answer.status == 400 && answer.json?["field"]?.text == "expiresAt", "\(answer.text)")
        }
    }

    /// The order of a body's members says nothing.
    @Test func theOrderOfFieldsSaysNothing() throws {
        let stock = try shop(100)
        let line = #"{"productId":"A","warehouseId":"warehouse-1","quantity":1}"#
        for body in [
            #"{"expiresInMs":"15m","productId":"A","warehouseId":"warehouse-1","quantity":1}"#,
            #"{"productId":"A","warehouseId":"warehouse-1","quantity":1,"expiresInMs":"15m"}"#,
            #"{"expiresInMs":"15m","lines":[\#(line)]}"#, #"{"lines":[\#(line)],"expiresInMs":"15m"}"#,
        ] {
            #expect(try stock.send("POST", "/api/reservations", body).status == 201, "\(body)")
        }
        for body in [
            #"{"expiresInMs":"15x","productId":"A","warehouseId":"warehouse-1","quantity":1}"#,
            #"{"expiresInMs":"31d","productId":"A","warehouseId":"warehouse-1","quantity":1}"#,
            #"{"expiresInMs":true,"lines":[\#(line)]}"#, #"{"lines":[\#(line)],"expiresInMs":true}"#,
        ] {
            let answer = try stock.send("POST", "/api/reservations", body)
            #expect(answer.status == 400 && answer.json?["field"]?.text == "expiresInMs", "\(body) \(answer.text)")
        }
        let twice = #"{"productId":"A","warehouseId":"warehouse-1","quantity":1,"quantity":2}"#
        #expect(try stock.send("POST", "/api/reservations", twice).json?["field"]?.text == "quantity")
        for body in [#"{"extra":1,"lines":[\#(line)]}"#, #"{"lines":[\#(line)],"extra":1}"#] {
            #expect(try stock.send("POST", "/api/reservations", body).json?["field"]?.text == "extra")
        }
    }

    /// What was reserved for an order is listed in pages.
    @Test func theReservationsOfAnOrder() throws {
        let stock = try shop(100)
        let made = try (0..<5).map { _ in try stock.hold("A", 1, #","orderId":"o""#) }
        var found: [String] = []
        var target: String? = "/api/reservations?orderId=o&limit=2"
        while let path = target {
            let answer = try stock.send("GET", path)
            let ids = answer.json?["reservations"]?.elements.compactMap { $0["id"]?.text } ?? []
            #expect(answer.status == 200 && (1...2).contains(ids.count))
            found += ids
            target = answer.header("Link").map { String($0.dropFirst().prefix { $0 != ">" }) }
        }
        #expect(found.sorted() == made.sorted())
    }
}

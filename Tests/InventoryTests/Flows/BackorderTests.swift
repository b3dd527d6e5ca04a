import JSON
import TestSupport
import Testing

/// Who waits for stock, and where it comes from.
struct BackorderTests {
    private func status(_ stock: StockServer, _ id: String) throws -> String? {
        try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text
    }

    private func wait(_ stock: StockServer, _ quantity: Int, _ more: String = "") throws -> String {
        let answer = try stock.reserve("A", quantity, #","backorder":true\#(more)"#)
        guard answer.status == 202, let id = answer.json?["id"]?.text else {
            throw SetUpFailure("does not wait: \(answer.status) \(answer.text)")
        }
        return id
    }

    private func shop(_ quantity: Int = 0, replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(replicas: replicas)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", quantity)
        return stock
    }

    @Test func priorityFirstThenWhoCameFirst() throws {
        let stock = try shop()
        let ids = [try wait(stock, 1), try wait(stock, 1), try wait(stock, 1, #","priority":5"#)]
        for (quantity, expected) in [
            (1, ["waiting", "waiting", "active"]), (2, ["active", "waiting", "active"]),
            (3, ["active", "active", "active"]),
        ] {
            try stock.set("A", quantity)
            #expect(try ids.map { try status(stock, $0) } == expected)
        }
        #expect(try stock.levels("A") == [3, 3, 0])
    }

    /// The first one in a warehouse is not overtaken there; elsewhere nobody waits for it.
    @Test func aQueueIsOfItsWarehouses() throws {
        let stock = try shop()
        let big = try wait(stock, 5)
        let small = try wait(stock, 1)
        let elsewhere = try stock.send(
            "POST", "/api/reservations",
            #"{"productId":"A","warehouseId":"warehouse-2","quantity":1,"backorder":true}"#)
        let other = try #require(elsewhere.json?["id"]?.text)
        let anywhere = try stock.send(
            "POST", "/api/reservations", #"{"productId":"A","allocation":"any","quantity":1,"backorder":true}"#)
        let last = try #require(anywhere.json?["id"]?.text)
        try stock.set("A", 4)
        #expect(try [big, small, other, last].map { try status(stock, $0) } == Array(repeating: "waiting", count: 4))
        try stock.set("A", 1, warehouse: "warehouse-2")
        #expect(
            try [big, small, other, last].map { try status(stock, $0) } == ["waiting", "waiting", "active", "waiting"])
        #expect(try stock.levels("A", warehouse: "warehouse-2") == [1, 1, 0])
        try stock.set("A", 6)
        #expect(try [big, small, last].map { try status(stock, $0) } == ["active", "active", "waiting"])
    }

    @Test(arguments: ["cancel", "part", "expire", "transfer", "count"])
    func whateverGivesStock(_ how: String) async throws {
        let stock = try shop(4, replicas: 2)
        let end = how == "expire" ? #","expiresInMs":600"# : ""
        let held = try stock.hold("A", 4, end)
        let id = try wait(stock, 2)
        #expect(try status(stock, id) == "waiting")
        switch how {
        case "cancel": #expect(try stock.send("PUT", "/api/reservations/\(held)/cancel").status == 200)
        case "part":
            #expect(try stock.send("PUT", "/api/reservations/\(held)/confirm", #"{"quantity":1}"#).status == 200)
        case "transfer":
            try stock.set("A", 3, warehouse: "warehouse-2")
            let body = #"{"productId":"A","fromWarehouseId":"warehouse-2","toWarehouseId":"warehouse-1","quantity":3}"#
            let transfer = try #require(try stock.send("POST", "/api/transfers", body).json?["id"]?.text)
            #expect(try stock.send("PUT", "/api/transfers/\(transfer)/ship").status == 200)
            #expect(try status(stock, id) == "waiting")
            #expect(try stock.send("PUT", "/api/transfers/\(transfer)/receive").status == 200)
        case "count":
            let body = #"{"productId":"A","warehouseId":"warehouse-1","counted":6}"#
            #expect(try stock.send("POST", "/api/counts", body).status == 201)
        default:
            // By the upkeep: this looks at Redis only.
            let key = stock.prefix + "reservation:{A}:" + (id.split(separator: "~").last ?? "")
            #expect(try await eventually { try stock.command("HGET", key, "status") == "active" })
        }
        #expect(try status(stock, id) == "active")
        #expect(try stock.command("ZCARD", stock.prefix + "backorder:{A}") == "0")
        #expect(try stock.command("HEXISTS", stock.prefix + "stock:{A}", "waiting") == "0")
    }

    /// A repeated request is answered as the first was, whatever has become of the hold.
    @Test func oneUnderAKey() throws {
        let stock = try shop(replicas: 2)
        var request = StockServer.reservation("A", 2, #","backorder":true"#)
        request.headers = [("Idempotency-Key", "k")]
        let answers = try stock.atOnce(10, request)
        #expect(answers.allSatisfy { $0.status == 202 } && Set(answers.map(\.body)).count == 1)
        let id = try #require(answers[0].json?["id"]?.text)
        try stock.set("A", 2)
        #expect(try status(stock, id) == "active")
        let later = try stock.atOnce([request])[0]
        #expect(later.status == 202 && later.body == answers[0].body)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").json?["quantity"]?.number == 2)
        #expect(try stock.atOnce([request])[0].body == answers[0].body)
        #expect(try stock.levels("A") == [0, 0, 0])
    }

    @Test(arguments: [true, false]) func whoDoesNotWaitAnyMore(_ isCancelled: Bool) async throws {
        let stock = try shop()
        let id = try wait(stock, 2, isCancelled ? "" : #","expiresInMs":300"#)
        if isCancelled {
            let cancelled = try stock.send("PUT", "/api/reservations/\(id)/cancel")
            #expect(cancelled.json?["status"]?.text == "cancelled" && cancelled.json?["quantity"]?.number == 2)
            #expect(try stock.send("PUT", "/api/reservations/\(id)/cancel").body == cancelled.body)
        } else {
            #expect(try await eventually { try status(stock, id) == "expired" })
        }
        try stock.set("A", 5)
        #expect(try stock.levels("A") == [5, 0, 5])
        #expect(try stock.command("ZCARD", stock.prefix + "backorder:{A}") == "0")
    }

    /// Those who wait elsewhere, however many, keep nobody waiting where there is stock.
    @Test func manyWaitElsewhere() throws {
        let stock = try shop()
        let more = StockServer.reservation("A", 1, #","backorder":true"#)
        for _ in 0..<3 { #expect(try stock.atOnce(50, more).allSatisfy { $0.status == 202 }) }
        let body = #"{"productId":"A","warehouseId":"warehouse-2","quantity":1,"backorder":true}"#
        let id = try #require(try stock.send("POST", "/api/reservations", body).json?["id"]?.text)
        try stock.set("A", 1, warehouse: "warehouse-2")
        #expect(try status(stock, id) == "active")
    }

    @Test func allAreServedSoon() async throws {
        let stock = try shop()
        let more = StockServer.reservation("A", 1, #","backorder":true"#)
        for _ in 0..<3 { #expect(try stock.atOnce(50, more).allSatisfy { $0.status == 202 }) }
        try stock.set("A", 200)
        #expect(try await eventually { try stock.levels("A") == [200, 150, 50] })
    }

    /// Those who waited under a version of the program that had one queue only.
    @Test func theQueueOfAnOlderVersion() throws {
        let stock = try shop()
        let ids = [try wait(stock, 1), try wait(stock, 1)]
        _ = try stock.command("DEL", stock.prefix + "backorder:{A}:warehouse-1")
        _ = try stock.command("HDEL", stock.prefix + "stock:{A}", "queued")
        try stock.set("A", 5)
        #expect(try ids.map { try status(stock, $0) } == ["active", "active"])
        #expect(try stock.command("ZCARD", stock.prefix + "backorder:{A}:warehouse-1") == "0")
        #expect(try stock.command("HEXISTS", stock.prefix + "stock:{A}", "queued") == "0")
    }

    /// What is free is not enough for the one who waits, and is not given to who comes, unless that one has priority.
    @Test func whoWaitsIsServedBeforeWhoComes() throws {
        let stock = try shop(3)
        let waits = try wait(stock, 5)
        let comes = try stock.reserve("A", 2)
        #expect(comes.status == 409 && comes.json?["available"]?.number == 0)
        #expect(try stock.reserve("A", 2, #","priority":1"#).status == 201)
        #expect(try stock.levels("A") == [3, 2, 1])
        let later = try wait(stock, 1)
        try stock.set("A", 7)
        #expect(try [waits, later].map { try status(stock, $0) } == ["active", "waiting"])
        // Elsewhere nobody waits.
        try stock.set("A", 1, warehouse: "warehouse-2")
        let body = #"{"productId":"A","warehouseId":"warehouse-2","quantity":1}"#
        #expect(try stock.send("POST", "/api/reservations", body).status == 201)
        #expect(try stock.send("PUT", "/api/reservations/\(waits)", #"{"quantity":4}"#).status == 200)
        #expect(try status(stock, later) == "active")
    }

    /// How long it may wait, and how long it is held from when it has its stock.
    @Test func waitingAndHoldingHaveTheirOwnTimes() throws {
        let stock = try shop()
        let key = stock.prefix + "reservation:{A}:"
        func record(_ id: String, _ field: String) throws -> Int {
            Int(try stock.command("HGET", key + id.split(separator: "~")[1], field)) ?? 0
        }
        let id = try wait(stock, 1, #","maxWaitMs":"2d","expiresInMs":"15m""#)
        #expect(try record(id, "expires") - record(id, "created") == 2 * 86_400_000)
        let short = try wait(stock, 1, #","maxWaitMs":60000,"expiresInMs":"1h""#)
        #expect(try record(short, "expires") - record(short, "created") == 60_000)
        try stock.set("A", 2)
        for (id, ms) in [(id, 900_000), (short, 3_600_000)] {
            #expect(try status(stock, id) == "active")
            let held = try record(id, "expires") - record(id, "created")
            #expect(held >= ms && held < ms + 60_000)
        }
        for (more, field) in [
            (#","maxWaitMs":1000"#, "maxWaitMs"), (#","backorder":true,"maxWaitMs":0"#, "maxWaitMs"),
            (#","backorder":true,"maxWaitMs":"31d""#, "maxWaitMs"),
        ] {
            let answer = try stock.reserve("A", 1, more)
            #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
        }
    }
}

import Bytes
import JSON
import TestSupport
import Testing

struct AlertTests {
    /// The names of the events that were told, in order.
    private func told(_ stock: StockServer) throws -> [String] {
        try stock.command("XRANGE", stock.prefix + "{stock-events}", "-", "+").split(separator: "\n").compactMap {
            line in String(line).withByteView { try? JSONValue(parsing: $0) }?["event"]?.text
        }
    }

    private func alerts(_ stock: StockServer, _ query: String = "") throws -> [JSONValue] {
        try stock.send("GET", "/api/alerts/low-stock" + query).json?.elements ?? []
    }

    @Test func onlyEdgesAreTold() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        let levels = [12, 10, 9, 4, 0, 20]
        for level in levels { try stock.set("A", level) }
        let expected = ["low-stock", "low-stock", "out-of-stock", "resolved"]
        #expect(try await eventually { try told(stock).count >= expected.count })
        #expect(try told(stock) == expected)
        // What a sweep finds later is nothing new.
        try stock.set("A", 21)
        #expect(try await eventually { try stock.command("LLEN", stock.prefix + "outbox:{A}") == "0" })
        #expect(try told(stock) == expected)
        #expect(try alerts(stock, "?status=resolved").count == 1)
        #expect(try alerts(stock, "?status=active").isEmpty)
    }

    /// Through reservations as well, and only a tenth above the threshold is calm again.
    @Test func whatIsAvailableCounts() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 20)
        let id = try stock.hold("A", 10)
        #expect(try await eventually { try alerts(stock).count == 1 })
        let alert = try alerts(stock)[0]
        #expect(alert["level"]?.text == "warning" && alert["available"]?.number == 10)
        #expect(alert["currentQuantity"]?.number == 20 && alert["product"]?["sku"]?.text == "A")
        #expect(alert["warehouse"]?["name"]?.text == "Main Warehouse" && alert["minStockLevel"]?.number == 10)
        try stock.set("A", 21)
        #expect(try alerts(stock)[0]["status"]?.text == "active")
        #expect(try stock.send("PUT", "/api/reservations/\(id)/cancel").status == 200)
        #expect(try await eventually { try alerts(stock, "?status=resolved").count == 1 })
        #expect(try await eventually { try told(stock) == ["low-stock", "resolved"] })
    }

    @Test func theFirstAcknowledgementCounts() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 8)
        #expect(try await eventually { try alerts(stock).count == 1 })
        let id = try #require(try alerts(stock)[0]["id"]?.text)
        let first = try stock.send("POST", "/api/alerts/\(id)/acknowledge")
        #expect(first.status == 200 && first.json?["status"]?.text == "acknowledged")
        #expect(first.json?["acknowledgedBy"]?.text == "local")
        let again = try stock.send("POST", "/api/alerts/\(id)/acknowledge")
        #expect(again.json?["acknowledgedAt"] == first.json?["acknowledgedAt"])
        // Worse is to be seen again.
        try stock.set("A", 5)
        #expect(try alerts(stock, "?level=critical&status=active").count == 1)
        #expect(try stock.send("POST", "/api/alerts/A~warehouse-1~7/acknowledge").status == 409)
        #expect(try stock.send("POST", "/api/alerts/B~warehouse-1~1/acknowledge").status == 404)
        #expect(try stock.send("POST", "/api/alerts/nonsense/acknowledge").status == 404)
    }

    @Test func toldAgainWhenNobodySawIt() async throws {
        let stock = try StockServer(replicas: 2, settings: ["stock-escalate": "100"])
        try stock.product("A")
        try stock.set("A", 8)
        #expect(try await eventually { try told(stock) == ["low-stock", "escalated"] })
        #expect(try alerts(stock)[0]["escalatedAt"]?.text != nil)
    }

    @Test func tooMuch() async throws {
        let stock = try StockServer()
        try stock.product("A", #","maxStockLevel":100"#)
        try stock.set("A", 101)
        try stock.set("A", 96)
        try stock.set("A", 95)
        #expect(try await eventually { try told(stock) == ["overstock", "resolved"] })
    }

    @Test func groupedByProduct() async throws {
        let stock = try StockServer()
        for sku in ["A", "B"] {
            try stock.product(sku)
            for warehouse in ["warehouse-1", "warehouse-2"] { try stock.set(sku, 3, warehouse: warehouse) }
        }
        #expect(try await eventually { try alerts(stock).count == 4 })
        let groups = try alerts(stock, "?groupBy=product")
        #expect(Set(groups.map { $0["sku"]?.text }) == ["A", "B"])
        #expect(groups.allSatisfy { $0["alerts"]?.elements.count == 2 })
        #expect(try alerts(stock, "?warehouseId=warehouse-2").count == 2)
        #expect(try stock.send("GET", "/api/alerts/low-stock?level=red").json?["field"]?.text == "level")
    }

    @Test func aSubscriberHearsOfAll() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        try stock.set("A", 8)
        #expect(try await eventually { try alerts(stock).count == 1 })
        let subscriber = try stock.servers[1].connect()
        _ = try subscriber.subscribe("/api/inventory/events")
        let snapshot = try subscriber.nextEvent()
        #expect(snapshot.name == "snapshot" && snapshot.json?["alerts"]?.elements.count == 1)
        try stock.set("A", 0)
        try stock.set("A", 50)
        #expect(try subscriber.nextEvent().json?["event"]?.text == "out-of-stock")
        let last = try subscriber.nextEvent()
        #expect(last.json?["event"]?.text == "resolved" && last.name == "change")
        // From where it was.
        let late = try stock.servers[0].connect()
        _ = try late.subscribe("/api/inventory/events", headers: [("Last-Event-ID", snapshot.id)])
        _ = try late.nextEvent()
        #expect(try late.nextEvent().json?["event"]?.text == "out-of-stock")
    }

    /// The replica that raised an alert died before it told anybody.
    @Test func whatADeadReplicaLeftIsTold() async throws {
        let stock = try StockServer()
        try stock.product("A")
        let event = #"{"id":"A~9.1","event":"low-stock","sku":"A","warehouse":"warehouse-1","at":1,"number":1}"#
        _ = try stock.command("RPUSH", stock.prefix + "outbox:{A}", event)
        for part in 0..<16 { _ = try stock.command("ZADD", stock.prefix + "stock-due:{\(part)}", "1", "A") }
        #expect(try await eventually { try told(stock) == ["low-stock"] })
        #expect(try stock.command("LLEN", stock.prefix + "outbox:{A}") == "0")
    }

    @Test func whoWaitsIsServed() async throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        let first = try stock.reserve("A", 5, #","backorder":true,"orderId":"o""#)
        #expect(first.status == 202 && first.json?["status"]?.text == "waiting" && first.json?["quantity"]?.number == 5)
        let urgent = try stock.reserve("A", 3, #","backorder":true,"priority":9"#)
        let gone = try stock.reserve("A", 1, #","backorder":true"#)
        let ids = [first, urgent, gone].compactMap { $0.json?["id"]?.text }
        #expect(try stock.send("PUT", "/api/reservations/\(ids[2])/cancel").json?["status"]?.text == "cancelled")
        #expect(try stock.send("PUT", "/api/reservations/\(ids[0])/confirm").status == 409)
        try stock.set("A", 4)
        func status(_ id: String) throws -> String? {
            try stock.send("GET", "/api/reservations/\(id)").json?["status"]?.text
        }
        #expect(try ids.map(status) == ["waiting", "active", "cancelled"])
        try stock.set("A", 8)
        #expect(try ids.map(status) == ["active", "active", "cancelled"])
        #expect(try stock.levels("A") == [8, 8, 0])
        #expect(try await eventually { try told(stock).count { $0 == "backorder-filled" } == 2 })
        let short = try stock.reserve("A", 2, #","backorder":true,"expiresInMs":200"#)
        let id = try #require(short.json?["id"]?.text)
        #expect(try await eventually { try status(id) == "expired" })
        try stock.set("A", 20)
        #expect(try stock.levels("A") == [20, 8, 12])
    }

    /// New thresholds are looked at when they are set, not when something is sold next.
    @Test func changedThresholdsCount() async throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":5"#)
        try stock.set("A", 20)
        func put(_ least: Int, _ more: String = "") throws {
            let body = #"{"name":"A thing","minStockLevel":\#(least)\#(more)}"#
            #expect(try stock.send("PUT", "/api/products/A", body).status == 200)
        }
        try put(30)
        #expect(try await eventually { try alerts(stock).first?["level"]?.text == "warning" })
        try put(25)
        #expect(try await eventually { try alerts(stock).first?["threshold"]?.number == 25 })
        try put(60)
        #expect(try await eventually { try alerts(stock).first?["level"]?.text == "critical" })
        try put(5)
        #expect(try await eventually { try alerts(stock).first?["status"]?.text == "resolved" })
        try put(5, #","maxStockLevel":10"#)
        #expect(try await eventually { try alerts(stock).first?["level"]?.text == "overstock" })
    }

    /// A critical level above that of a warning comes first.
    @Test func aCriticalLevelAboveTheWarning() async throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":10,"thresholds":{"critical":30}"#)
        try stock.set("A", 40)
        _ = try stock.hold("A", 5)
        _ = try stock.hold("A", 5)
        #expect(try await eventually { try alerts(stock).first?["level"]?.text == "critical" })
        #expect(try alerts(stock).first?["threshold"]?.number == 30)
        try stock.set("A", 44)
        #expect(try await eventually { try alerts(stock, "?status=resolved").count == 1 })
    }

    /// Where there never was any stock nothing is out of stock, and what leaves all as it is leaves no trace.
    @Test func whereThereNeverWasAny() async throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":2"#)
        try stock.set("A", 20)
        for _ in 0..<3 {
            try stock.set("A", 20)
            try stock.set("A", 0, warehouse: "warehouse-2")
        }
        let body = #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-3","quantity":5}"#
        let transfer = try #require(try stock.send("POST", "/api/transfers", body).json?["id"]?.text)
        #expect(try stock.send("PUT", "/api/transfers/\(transfer)/ship").status == 200)
        let types = try stock.send("GET", "/api/inventory/A/ledger").json?.elements.map { $0["type"]?.text }
        #expect(types == ["ship", "ship", "transfer", "adjust"])
        // What is told later comes behind what would have been told.
        try stock.set("A", 0)
        #expect(try await eventually { try !told(stock).isEmpty })
        #expect(try told(stock) == ["out-of-stock"])
        #expect(try alerts(stock).map { $0["warehouseId"]?.text } == ["warehouse-1"])
    }

    /// A page is read in a few round trips, however long it is, and no cursor ends the process.
    @Test func pagesAreReadAtOnce() async throws {
        let redis = try RedisServer()
        let stock = try StockServer(redis)
        for i in 0..<60 {
            try stock.product("A\(i)")
            try stock.set("A\(i)", 5)
        }
        #expect(try await eventually { try alerts(stock, "?limit=1000").count == 60 })
        func reads() throws -> Int {
            let line = try redis.redis("INFO", "stats").split(whereSeparator: \.isNewline).first {
                $0.hasPrefix("total_reads_processed:")
            }
            return line.flatMap { Int($0.dropFirst("total_reads_processed:".count)) } ?? 0
        }
        let before = try reads()
        #expect(try alerts(stock, "?limit=1000").count == 60)
        #expect(try reads() - before < 40)
        for cursor in ["9223372036854775807", "-1", "x"] {
            let answer = try stock.send("GET", "/api/alerts/low-stock?cursor=\(cursor)")
            #expect(answer.status == 400 && answer.json?["field"]?.text == "cursor")
            #expect(try stock.send("GET", "/api/transfers?cursor=\(cursor)").status == 400)
        }
        #expect(try stock.send("GET", "/healthz").status == 200)
    }
}

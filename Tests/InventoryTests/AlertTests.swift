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
}

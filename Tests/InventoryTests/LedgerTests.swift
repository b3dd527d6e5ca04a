import JSON
import TestSupport
import Testing

@testable import Inventory

struct LedgerTests {
    @Test func everyChangeIsTold() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 10)
        var request = StockServer.reservation("A", 4, #","orderId":"order-1""#)
        request.headers = [("Idempotency-Key", "k1")]
        let id = try #require(try stock.atOnce([request])[0].json?["id"]?.text)
        _ = try stock.send("PUT", "/api/reservations/\(id)/confirm")
        let entries = try stock.send("GET", "/api/inventory/A/ledger").json?.elements ?? []
        #expect(entries.map { $0["type"]?.text } == ["confirm", "reserve", "adjust"])
        let reserve = entries[1]
        #expect(reserve["reference"]?.text == id && reserve["orderId"]?.text == "order-1")
        #expect(reserve["idempotencyKey"]?.text == "k1" && reserve["actor"]?.text == "local")
        #expect(reserve["change"]?["reserved"]?.number == 4 && reserve["after"]?["reserved"]?.number == 4)
        #expect(entries[0]["after"]?["quantity"]?.number == 6 && entries[0]["change"]?["quantity"]?.number == -4)
        // In pages.
        let first = try stock.send("GET", "/api/inventory/A/ledger?limit=2")
        let link = try #require(first.header("Link"))
        let next = String(link.dropFirst().prefix { $0 != ">" })
        #expect(first.json?.elements == Array(entries[..<2]))
        #expect(try stock.send("GET", next).json?.elements == [entries[2]])
        let replay = try stock.send("GET", "/api/inventory/A/ledger?replay=true").json?["warehouses"]?.elements
        #expect(replay?.count == 1 && replay?[0]["agrees"] == .bool(true))
        #expect(try stock.send("GET", "/api/inventory/B/ledger").status == 404)
        for cursor in ["x", "1", "1--2", "-1-2", "1-2-3", "1-", "18446744073709551616-0", "a-1", "(1-1", "0-0"] {
            let answer = try stock.send("GET", "/api/inventory/A/ledger?cursor=\(cursor)")
            #expect(answer.status == 400 && answer.json?["field"]?.text == "cursor", "\(cursor): \(answer.text)")
        }
        // Before the first there is nothing; behind the last all.
        for (query, count) in [
            ("cursor=0-1", 0), ("cursor=18446744073709551615-18446744073709551615", 3),
            ("from=1969-01-01T00:00:00Z", 3), ("to=1969-01-01T00:00:00Z", 0), ("from=9999-01-01T00:00:00Z", 0),
            ("to=9999-12-31T00:00:00Z", 3),
        ] {
            let answer = try stock.send("GET", "/api/inventory/A/ledger?\(query)")
            #expect(answer.status == 200 && answer.json?.elements.count == count, "\(query): \(answer.text)")
        }
        #expect(try stock.send("GET", "/api/inventory/A/ledger?from=1").json?["field"]?.text == "from")
    }

    /// Of what we give out, and of what could be taken for it.
    @Test func cursorsAtTheEndsOfTheirTypeAreRefused() throws {
        let stock = try StockServer()
        try stock.product("A")
        for path in ["/api/alerts/low-stock", "/api/transfers", "/api/inventory/A/ledger"] {
            for cursor in [
                "9223372036854775807", "9223372036854775806", "-1", "%2b1", "0-0", "1-2-x",
                "18446744073709551616-0", "{}",
            ] {
                let answer = try stock.send("GET", "\(path)?cursor=\(cursor)")
                #expect(answer.status == 400 && answer.json?["field"]?.text == "cursor", "\(path) \(cursor)")
            }
        }
    }

    /// Redis gives a stream 4 KB for its first entries; nearly all SKUs of a catalogue have few.
    @Test(arguments: ["adjust", "bulk", "atomic"]) func aYoungLedgerTakesLittle(_ way: String) throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        #expect(try stock.command("EXISTS", stock.prefix + "ledger:{A}") == "0")
        let row = #"{"productId":"A","warehouseId":"warehouse-1","type":"set","quantity":5}"#
        switch way {
        case "adjust": try stock.set("A", 5)
        case "bulk": _ = try stock.send("POST", "/api/inventory/bulk-adjust", #"{"adjustments":[\#(row)]}"#)
        default:
            _ = try stock.send("POST", "/api/inventory/bulk-adjust", #"{"adjustments":[\#(row)],"mode":"atomic"}"#)
        }
        for _ in 0..<3 { _ = try stock.hold("A", 1) }
        let ledger = stock.prefix + "ledger:{A}"
        #expect(try stock.command("XLEN", ledger) == "4")
        let bytes = try #require(Int(try stock.command("MEMORY", "USAGE", ledger)))
        #expect(bytes < 1600)
        #expect(try stock.command("EXISTS", ledger + ":copy") == "0")
        #expect(try stock.send("GET", "/api/inventory/A/ledger").json?.elements.count == 4)
    }

    @Test func whatIsDamagedIsFoundAndSetRight() throws {
        let stock = try StockServer()
        for sku in ["A", "B"] {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 20)
        }
        _ = try stock.hold("A", 5)
        let transfer = #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":3}"#
        let id = try #require(try stock.send("POST", "/api/transfers", transfer).json?["id"]?.text)
        _ = try stock.send("PUT", "/api/transfers/\(id)/ship")
        _ = try stock.send("POST", "/api/transfers", transfer)
        func reconcile(_ body: String) throws -> JSONValue {
            let answer = try stock.send("POST", "/api/inventory/reconcile", body)
            #expect(answer.status == 200, "\(answer.text)")
            return answer.json ?? .null
        }
        let clean = try reconcile("{}")
        #expect(clean["checked"]?.number == 2 && clean["drifts"]?.number == 0)
        let key = stock.prefix + "stock:{A}"
        _ = try stock.command("HINCRBY", key, "warehouse-1:quantity", "7")
        _ = try stock.command("HINCRBY", key, "warehouse-1:reserved", "-2")
        _ = try stock.command("HINCRBY", key, "warehouse-2:inTransit", "1")
        let found = try reconcile(#"{"productId":"A"}"#)
        #expect(found["drifts"]?.number == 2)
        let first = found["drift"]?.elements[0]
        #expect(first?["counters"]?["quantity"]?.number == 24 && first?["expected"]?["quantity"]?.number == 17)
        #expect(first?["counters"]?["reserved"]?.number == 6 && first?["expected"]?["reserved"]?.number == 8)
        // Looking changes nothing.
        #expect(try reconcile(#"{"productId":"A"}"#)["drifts"]?.number == 2)
        #expect(try reconcile(#"{"productId":"A","repair":true}"#)["drifts"]?.number == 2)
        #expect(try reconcile(#"{"productId":"A"}"#)["drifts"]?.number == 0)
        #expect(try stock.levels("A") == [17, 8, 9])
        let types = try stock.send("GET", "/api/inventory/A/ledger?limit=2").json?.elements.map { $0["type"]?.text }
        #expect(types == ["correction", "correction"])
        #expect(try stock.send("POST", "/api/inventory/reconcile", #"{"productId":"C"}"#).status == 404)
    }

    /// Only up to the last checkpoint before the day: replay goes on from there.
    @Test func oldEntriesAreForgotten() async throws {
        let trial = try await LanesTrial(byScripts: true)
        let oldMs = 1_600_000_000_000
        func put(_ n: Int, at ms: Int) async throws {
            _ = try await trial.perform(
                .adjust(id: "a\(n)-\(ms)", warehouse: "warehouse-1", .add, n, expected: nil), nowMs: ms)
        }
        try await put(1, at: oldMs)
        try trial.command("HSET", trial.prefix + "stock:{A}", "version", "9999")
        try await put(2, at: oldMs + 1000)
        try await put(3, at: oldMs + 2000)
        try trial.command("HSET", trial.prefix + "stock:{A}", "version", "19999")
        try await put(4, at: oldMs + 3000)
        func length() throws -> String { try trial.command("XLEN", trial.prefix + "ledger:{A}").text }
        #expect(try length() == "6")
        let before = try trial.ledgerTotals().replayed
        // Nothing is old enough.
        try await trial.trim(days: 1, nowMs: oldMs + 80_000_000)
        #expect(try length() == "6")
        try await trial.trim(days: 1, nowMs: oldMs + 200_000_000)
        #expect(try length() == "1")
        #expect(try trial.ledgerTotals().replayed == before)
    }
}

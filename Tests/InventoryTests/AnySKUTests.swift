import JSON
import TestSupport
import Testing

@testable import Inventory

/// SKUs with blanks, slashes, umlauts and whatever else stands in catalogues.
struct AnySKUTests {
    private static let skus = ["Mug 0,3 l/blue", "Größe 42", "100% {wool}", "a~2Fb", "\u{1F9E6}?#&+:\"'"]

    /// The SKU in a path.
    private func inPath(_ sku: String) -> String {
        sku.utf8.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return SKU.isNameByte(byte) ? String(UnicodeScalar(byte)) : "%" + (digits.count < 2 ? "0" : "") + digits
        }.joined()
    }

    private func json(_ text: String) -> String { JSONValue.string(text).text() }

    @Test(arguments: AnySKUTests.skus) func isServedAsAnyOther(_ sku: String) async throws {
        let stock = try StockServer(replicas: 2)
        let other = stock.servers[1]
        let path = inPath(sku)
        let made = try stock.send("POST", "/api/products", #"{"name":"n","sku":\#(json(sku)),"minStockLevel":5}"#)
        #expect(made.status == 201 && made.json?["sku"]?.text == sku, "\(made.text)")
        let id = try #require(made.json?["id"]?.text)
        for name in [path, id] {
            #expect(try other.request("GET", "/api/products/\(name)").json?["sku"]?.text == sku)
            #expect(try other.request("GET", "/api/inventory/\(name)").status == 200)
        }
        #expect(try stock.send("GET", "/api/products").json?.elements.map { $0["sku"]?.text } == [sku])
        let body = #"{"warehouseId":"warehouse-1","type":"set","quantity":9}"#
        let adjusted = try stock.send("POST", "/api/inventory/\(path)/adjust", body)
        #expect(adjusted.json?["newInventory"]?["sku"]?.text == sku, "\(adjusted.text)")
        // The id of a hold is a path's part as it is.
        let hold = #"{"productId":\#(json(sku)),"warehouseId":"warehouse-1","quantity":6,"orderId":"o/1"}"#
        let held = try stock.send("POST", "/api/reservations", hold)
        let reservation = try #require(held.json?["id"]?.text)
        #expect(held.json?["sku"]?.text == sku)
        #expect(reservation.utf8.allSatisfy { SKU.isNameByte($0) || $0 == UInt8(ascii: "~") })
        #expect(try other.request("GET", "/api/reservations/\(reservation)").json?["sku"]?.text == sku)
        #expect(try other.request("PUT", "/api/reservations/\(reservation)/confirm").status == 200)
        #expect(try stock.levels(path) == [3, 0, 3])
        let ledger = try other.request("GET", "/api/inventory/\(path)/ledger").json?.elements
        #expect(ledger?.map { $0["type"]?.text } == ["confirm", "reserve", "adjust"])
        #expect(ledger?.first?["reference"]?.text == reservation)
        // Its alert, in the list and as an event.
        var alert: JSONValue?
        #expect(
            try await eventually {
                alert = try stock.send("GET", "/api/alerts/low-stock").json?.elements.first
                return alert?["level"]?.text == "warning"
            })
        #expect(alert?["sku"]?.text == sku)
        let name = try #require(alert?["id"]?.text)
        #expect(try stock.send("POST", "/api/alerts/\(name)/acknowledge").status == 200)
        let event = try stock.command("XREVRANGE", stock.prefix + "{stock-events}", "+", "-", "COUNT", "1")
        #expect(event.contains(#""sku":"# + json(sku)), "\(event)")
    }

    @Test func goesThroughOrdersBulksAndFiles() throws {
        let stock = try StockServer()
        for sku in AnySKUTests.skus {
            let made = try stock.send("POST", "/api/products", #"{"name":"n","sku":\#(json(sku))}"#)
            #expect(made.status == 201, "\(made.text)")
        }
        let rows = AnySKUTests.skus.map {
            #"{"productId":\#(json($0)),"warehouseId":"warehouse-1","type":"add","quantity":4}"#
        }.joined(separator: ",")
        for mode in ["partial", "atomic"] {
            let body = #"{"adjustments":[\#(rows)],"mode":"\#(mode)"}"#
            let bulk = try stock.send("POST", "/api/inventory/bulk-adjust", body)
            #expect(bulk.json?["successful"]?.number == AnySKUTests.skus.count, "\(bulk.text)")
        }
        let lines = AnySKUTests.skus.map { #"{"productId":\#(json($0)),"warehouseId":"warehouse-1","quantity":3}"# }
            .joined(separator: ",")
        let order = try stock.send("POST", "/api/reservations", #"{"lines":[\#(lines)],"orderId":"o"}"#)
        let id = try #require(order.json?["id"]?.text, "\(order.text)")
        let shown = try stock.send("GET", "/api/reservations/\(id)").json?["lines"]?.elements ?? []
        #expect(Set(shown.compactMap { $0["sku"]?.text }) == Set(AnySKUTests.skus), "\(shown)")
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 200)
        for sku in AnySKUTests.skus { #expect(try stock.levels(inPath(sku)) == [5, 0, 5]) }
        for table in ["products", "inventory"] {
            for (format, type) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
                let file = try stock.send("GET", "/api/\(table)/export?format=\(format)").text
                let back = try stock.send("POST", "/api/\(table)/import", file, headers: [("Content-Type", type)])
                #expect(back.status == 200 && back.json?["failed"]?.number == 0, "\(back.text)")
            }
        }
        for sku in AnySKUTests.skus { #expect(try stock.levels(inPath(sku)) == [5, 0, 5]) }
    }
}

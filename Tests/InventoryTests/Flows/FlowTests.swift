import JSON
import TestSupport
import Testing

/// What transfers and reservations over several products owe to the ledger and to repeated requests.
struct FlowTests {
    private func shop(_ skus: [String], replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(replicas: replicas)
        for sku in skus {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 100)
        }
        return stock
    }

    private static func transfer(_ quantity: Int, from: Int = 1, to: Int = 2) -> StockServer.Request {
        .init(
            method: "POST", path: "/api/transfers",
            body:
                #"{"productId":"A","fromWarehouseId":"warehouse-\#(from)","toWarehouseId":"warehouse-\#(to)","quantity":\#(quantity)}"#
        )
    }

    /// Quantities and what is on its way, asked for while the requests are under way; then their answers.
    private func polled(_ stock: StockServer, _ requests: [StockServer.Request]) throws -> (sums: [Int], [HTTPAnswer]) {
        let watcher = try stock.servers[1].connect()
        let connections = try requests.indices.map { try stock.servers[$0 % stock.servers.count].connect() }
        var sums: [Int] = []
        for (i, (request, connection)) in zip(requests, connections).enumerated() {
            try connection.send([HTTPConnection.encode(request.method, request.path, body: request.body)])
            guard i % 4 == 3 else { continue }
            let rows = try watcher.request("GET", "/api/inventory/A").json?["inventory"]?.elements ?? []
            sums.append(rows.reduce(0) { $0 + ($1["quantity"]?.number ?? -1000) + ($1["inTransit"]?.number ?? 0) })
        }
        return (sums, try connections.map { try $0.receive() })
    }

    @Test func theSumHoldsAtEveryMoment() throws {
        let stock = try shop(["A"], replicas: 2)
        let (sums, made) = try polled(stock, Array(repeating: FlowTests.transfer(5), count: 40))
        #expect(sums == Array(repeating: 100, count: 10))
        #expect(made.count { $0.status == 201 } == 20 && made.count { $0.status == 409 } == 20)
        let ids = made.compactMap { $0.status == 201 ? $0.json?["id"]?.text : nil }
        for word in ["ship", "receive"] {
            // Twice each, on both replicas.
            let (sums, moved) = try polled(
                stock, (ids + ids.reversed()).map { .init(method: "PUT", path: "/api/transfers/\($0)/\(word)") })
            #expect(sums == Array(repeating: 100, count: 10))
            #expect(moved.allSatisfy { $0.status == 200 })
        }
        #expect(try stock.levels("A") == [0, 0, 0])
        #expect(try stock.levels("A", warehouse: "warehouse-2") == [100, 0, 100])
    }

    @Test(arguments: [0, 3]) func whatDoesNotArriveIsLost(_ arrived: Int) throws {
        let stock = try shop(["A"])
        let id = try #require(try stock.atOnce([FlowTests.transfer(4)])[0].json?["id"]?.text)
        _ = try stock.send("PUT", "/api/transfers/\(id)/ship")
        let body = #"{"quantity":\#(arrived),"reason":"fell off"}"#
        let answer = try stock.send("PUT", "/api/transfers/\(id)/receive", body)
        #expect(answer.status == 200 && answer.json?["receivedQuantity"]?.number == arrived)
        let row = try stock.send("GET", "/api/inventory/A?warehouseId=warehouse-2").json
        #expect(row?["quantity"]?.number == arrived && row?["inTransit"]?.number ?? 0 == 0)
        let last = try stock.command("XREVRANGE", stock.prefix + "ledger:{A}", "+", "-", "COUNT", "1")
        #expect(last.contains("lost") && last.contains("0,0,\(arrived - 4)") && last.contains("fell off"), "\(last)")
    }

    @Test func whatAWarehouseMay() throws {
        let stock = try shop(["A"])
        let body = #"{"name":"Main Warehouse","mayShip":false}"#
        #expect(try stock.send("PUT", "/api/warehouses/warehouse-1", body).status == 200)
        let refused = try stock.atOnce([FlowTests.transfer(1)])[0]
        #expect(refused.status == 409 && refused.json?["field"]?.text == "fromWarehouseId")
        #expect(try stock.levels("A") == [100, 0, 100])
    }

    private static func order(_ lines: [(String, Int)], _ more: String = "") -> StockServer.Request {
        let rows = lines.map { #"{"productId":"\#($0.0)","warehouseId":"warehouse-1","quantity":\#($0.1)}"# }
        return .init(
            method: "POST", path: "/api/reservations", body: #"{"lines":[\#(rows.joined(separator: ","))]\#(more)}"#,
            headers: [("Idempotency-Key", "k")])
    }

    @Test(arguments: [[("B", 1)], [("A", 1), ("C", 1)], [("A", 1)], [("B", 1), ("A", 1)]])
    func aKeyIsOfOneOrder(_ lines: [(String, Int)]) throws {
        let stock = try shop(["A", "B", "C"])
        #expect(try stock.atOnce([FlowTests.order([("A", 1), ("B", 1)])])[0].status == 201)
        let other = try stock.atOnce([FlowTests.order(lines)])[0]
        #expect(other.status == 422, "\(other.status) \(other.text)")
        #expect(try stock.levels("A") == [100, 1, 99] && stock.levels("C") == [100, 0, 100])
    }

    @Test(arguments: ["[]", #"[{"productId":"A","warehouseId":"warehouse-1","quantity":0}]"#])
    func nothingIsNotConfirmed(_ lines: String) throws {
        let stock = try shop(["A", "B"])
        let id = try #require(try stock.atOnce([FlowTests.order([("A", 1), ("B", 1)])])[0].json?["id"]?.text)
        let answer = try stock.send("PUT", "/api/reservations/\(id)/confirm", #"{"lines":\#(lines)}"#)
        #expect(answer.status == 400 && answer.json?["field"]?.text == "lines")
        #expect(try stock.levels("A") == [100, 1, 99])
    }
}

import JSON
import TestSupport
import Testing

/// What somebody has counted, or lost, below what is reserved.
struct CountTests {
    private func shop() throws -> StockServer {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        return stock
    }

    private func count(_ stock: StockServer, _ counted: Int, _ more: String = "") throws -> HTTPAnswer {
        try stock.send(
            "POST", "/api/counts", #"{"productId":"A","warehouseId":"warehouse-1","counted":\#(counted)\#(more)}"#)
    }

    @Test(arguments: [false, true]) func lessThanIsReserved(_ isWrittenOff: Bool) async throws {
        let stock = try shop()
        let first = try stock.hold("A", 4, #","orderId":"o1""#)
        let important = try stock.hold("A", 3, #","priority":5"#)
        let last = try stock.hold("A", 2)
        func less(_ more: String = "") throws -> HTTPAnswer {
            if !isWrittenOff { return try count(stock, 5, more) }
            let body = #"{"warehouseId":"warehouse-1","quantity":5,"reason":"fire"\#(more)}"#
            return try stock.send("POST", "/api/inventory/A/write-off", body)
        }
        let refused = try less()
        #expect(refused.status == 409 && refused.json?["detail"]?.text?.contains("force") == true)
        #expect(try stock.levels("A") == [10, 9, 1])
        let forced = try less(#","force":true"#)
        #expect(forced.status == 201 && forced.json?["newInventory"]?["available"]?.number == -4)
        let short = forced.json?["shortHolds"]?.elements ?? []
        #expect(short.map { $0["id"]?.text } == [first, last] && short.map { $0["missing"]?.number } == [2, 2])
        #expect(short.first?["orderId"]?.text == "o1" && forced.json?["shortHoldsCount"]?.number == 2)
        #expect(
            try await eventually {
                try stock.send("GET", "/api/alerts/low-stock").json?.elements.first?["level"]?.text == "emergency"
            })
        #expect(
            try await eventually {
                try RESPConnection(.unix(path: stock.redis.socketPath))
                    .command(["XRANGE", stock.prefix + "{stock-events}", "-", "+"]).elements
                    .contains { $0.elements[1].elements[1].text.contains("oversold") }
            })
        // What is there is sold, and no more.
        #expect(try stock.reserve("A", 1).status == 409)
        #expect(try stock.send("PUT", "/api/reservations/\(important)/confirm").status == 200)
        let lacking = try stock.send("PUT", "/api/reservations/\(first)/confirm")
        #expect(lacking.status == 409 && lacking.json?["detail"]?.text?.contains("only 2 are there") == true)
        #expect(try stock.send("PUT", "/api/reservations/\(first)/confirm", #"{"quantity":2}"#).status == 200)
        #expect(try stock.levels("A") == [0, 2, -2])
        let add = #"{"warehouseId":"warehouse-1","type":"add","quantity":1}"#
        #expect(try stock.send("POST", "/api/inventory/A/adjust", add).status == 200)
        #expect(try stock.send("PUT", "/api/reservations/\(last)/cancel").status == 200)
        #expect(try stock.levels("A") == [1, 0, 1])
        let report = try stock.send("POST", "/api/inventory/reconcile", #"{"repair":true}"#).json
        #expect(
            report?["drifts"]?.number == 0 && report?["unjudged"]?.elements.isEmpty == true,
            "\(String(describing: report))")
    }

    @Test func moreThanThereIsIsNotLost() throws {
        let stock = try shop()
        let body = #"{"warehouseId":"warehouse-1","quantity":11,"reason":"fire","force":true}"#
        let answer = try stock.send("POST", "/api/inventory/A/write-off", body)
        #expect(answer.status == 409 && answer.json?["field"]?.text == "quantity")
        #expect(try stock.levels("A") == [10, 0, 10])
    }

    /// Where the ledger does not join, what somebody has counted is where it begins anew.
    @Test func aCountBeginsTheLedgerAnew() throws {
        let stock = try shop()
        _ = try stock.hold("A", 3)
        _ = try stock.command("XTRIM", stock.prefix + "ledger:{A}", "MAXLEN", "1")
        func unjudged() throws -> Int? {
            try stock.send("POST", "/api/inventory/reconcile", "{}").json?["unjudged"]?.elements.count
        }
        #expect(try unjudged() == 1)
        #expect(try count(stock, 10, #","force":true"#).status == 201)
        #expect(try unjudged() == 0)
        #expect(try stock.levels("A") == [10, 3, 7])
    }

    @Test func anOrderTakesNothingThatIsNotThere() throws {
        let stock = try shop()
        let order = #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":6}]}"#
        let id = try #require(try stock.send("POST", "/api/reservations", order).json?["id"]?.text)
        #expect(try count(stock, 5, #","force":true"#).status == 201)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 409)
        #expect(try stock.levels("A") == [5, 6, -1])
        #expect(try count(stock, 6).status == 201)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 200)
        #expect(try stock.levels("A") == [0, 0, 0])
    }
}

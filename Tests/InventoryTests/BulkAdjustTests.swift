import JSON
import TestSupport
import Testing

/// Many adjustments in one request, done before the answer.
struct BulkAdjustTests {
    private func row(_ sku: String, _ type: String, _ quantity: String, warehouse: String = "warehouse-1") -> String {
        #"{"productId":"\#(sku)","warehouseId":"\#(warehouse)","type":"\#(type)","quantity":\#(quantity)}"#
    }

    private func bulk(
        _ stock: StockServer, _ rows: [String], mode: String? = nil, key: String? = nil
    ) throws -> HTTPAnswer {
        let mode = mode.map { #","mode":"\#($0)""# } ?? ""
        return try stock.send(
            "POST", "/api/inventory/bulk-adjust", #"{"adjustments":[\#(rows.joined(separator: ","))]\#(mode)}"#,
            headers: key.map { [("Idempotency-Key", $0)] } ?? [])
    }

    @Test func goodRowsAreDoneAndBadOnesNamed() throws {
        let stock = try StockServer(loops: 2)
        let ids = try (0..<10).map { try stock.product("P\($0)") }
        let wrong = [
            row("P0", "add", "-5"), row("P0", "add", "1.5"), row("nobody", "add", "1"),
            row("P0", "subtract", "9999999"),
            row("P0", "add", "1", warehouse: "nowhere"), #""text""#,
        ]
        var bad: Set<Int> = []
        while bad.count < 37 { bad.insert((bad.count * 271 + 13) % 1000) }
        let rows = (0..<1000).map { i in
            bad.contains(i) ? wrong[i % wrong.count] : row(i % 2 == 0 ? "P\(i % 10)" : ids[i % 10], "add", "1")
        }
        let answer = try bulk(stock, rows)
        let json = try #require(answer.json)
        #expect(answer.status == 200 && json["successful"]?.number == 963 && json["failed"]?.number == 37)
        #expect(Set(json["errors"]?.elements.compactMap { $0["index"]?.number } ?? []) == bad)
        #expect(json["errors"]?.elements.allSatisfy { $0["error"]?.text?.isEmpty == false } == true)
        let done = json["results"]?.elements.compactMap { $0["index"]?.number } ?? []
        #expect(done.count == 963 && Set(done).isDisjoint(with: bad))
        let total = try (0..<10).reduce(0) { try $0 + stock.levels("P\($1)")[0] }
        #expect(total == 963)
        for error in json["errors"]?.elements ?? [] {
            let index = try #require(error["index"]?.number)
            let field = ["quantity", "quantity", "productId", "quantity", "warehouseId", nil][index % wrong.count]
            #expect(field == nil || error["field"]?.text == field, "\(error)")
        }
    }

    @Test func everyResultIsItsOwn() throws {
        let stock = try StockServer()
        try stock.product("A")
        let json = try bulk(stock, [row("A", "add", "1"), row("A", "add", "2"), row("A", "add", "3")]).json
        let results = json?["results"]?.elements ?? []
        #expect(results.map { $0["newInventory"]?["quantity"]?.number } == [1, 3, 6])
        #expect(results.map { $0["adjustment"]?["previousQuantity"]?.number } == [0, 1, 3])
        #expect(Set(results.compactMap { $0["adjustment"]?["id"]?.text }).count == 3)
    }

    @Test func rowsOfOneSKUKeepTheirOrder() throws {
        let stock = try StockServer()
        try stock.product("A")
        // More than one call of the script.
        let rows = (0..<400).map { $0 % 2 == 0 ? row("A", "add", "5") : row("A", "subtract", "5") }
        let json = try bulk(stock, rows).json
        #expect(json?["successful"]?.number == 400)
        #expect(
            json?["results"]?.elements.map { $0["newInventory"]?["quantity"]?.number }
                == rows.indices.map { $0 % 2 == 0 ? 5 : 0 })
    }

    @Test func allOrNothing() throws {
        let stock = try StockServer()
        for sku in ["A", "B", "C"] { try stock.product(sku) }
        try stock.set("B", 4)
        _ = try stock.hold("B", 3)
        let good = [row("A", "add", "7"), row("B", "subtract", "1"), row("C", "set", "2"), row("A", "subtract", "7")]
        for (bad, field) in [
            (row("B", "subtract", "1"), "quantity"), (row("B", "set", "2"), "quantity"),
            (row("D", "add", "1"), "productId"),
            (row("A", "add", "0"), "quantity"), (row("A", "add", "1", warehouse: "w"), "warehouseId"),
            (row("A", "subtract", "1"), "quantity"),
        ] {
            let before = try stock.command("XLEN", stock.prefix + "ledger:{B}")
            let refused = try bulk(stock, good + [bad], mode: "atomic")
            #expect(refused.status == 409 && refused.json?["successful"]?.number == 0, "\(refused.text)")
            #expect(refused.json?["errors"]?.elements.map { $0["index"]?.number } == [4], "\(refused.text)")
            #expect(refused.json?["errors"]?.elements.first?["field"]?.text == field, "\(refused.text)")
            #expect(
                try [stock.levels("A"), stock.levels("B"), stock.levels("C")] == [[0, 0, 0], [4, 3, 1], [0, 0, 0]])
            #expect(try stock.command("XLEN", stock.prefix + "ledger:{B}") == before)
        }
        let done = try bulk(stock, good, mode: "atomic")
        #expect(done.status == 200 && done.json?["successful"]?.number == 4, "\(done.text)")
        #expect(done.json?["results"]?.elements.map { $0["newInventory"]?["quantity"]?.number } == [7, 3, 2, 0])
        #expect(try [stock.levels("A"), stock.levels("B"), stock.levels("C")] == [[0, 0, 0], [3, 3, 0], [2, 0, 2]])
    }

    /// Those that can't be read, those that name nothing, and those that the stock does not allow.
    @Test(arguments: [6, 1001]) func anAtomicOneTellsAllOfItsBadRows(_ count: Int) throws {
        let stock = try StockServer()
        for sku in ["A", "B"] { try stock.product(sku) }
        let bad = [
            row("A", "add", "0"), row("C", "add", "1"), row("A", "subtract", "5"), row("B", "add", "1", warehouse: "w"),
            row("B", "subtract", "1"),
        ]
        let rows = bad + (0..<count - bad.count).map { _ in row("A", "add", "1") }
        for _ in 0..<2 {
            let refused = try bulk(stock, rows, mode: "atomic", key: "k")
            #expect(refused.status == 409 && refused.json?["failed"]?.number == 5, "\(refused.text)")
            #expect(refused.json?["errors"]?.elements.map { $0["index"]?.number } == [0, 1, 2, 3, 4])
            #expect(
                refused.json?["errors"]?.elements.map { $0["field"]?.text } == [
                    "quantity", "productId", "quantity", "warehouseId", "quantity",
                ])
            #expect(try stock.levels("A") == [0, 0, 0] && stock.levels("B") == [0, 0, 0])
        }
    }

    /// Also where what had failed could be done meanwhile, and what was done could not.
    @Test func oneKeyHasOneAnswer() throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        let rows = [
            row("A", "add", "5"), row("A", "subtract", "9"), row("B", "add", "1"), row("A", "add", "\"x\""),
            row("A", "add", "1"), row("A", "add", "1", warehouse: "w"),
        ]
        let first = try bulk(stock, rows, key: "k")
        #expect(first.json?["successful"]?.number == 2 && first.json?["failed"]?.number == 4, "\(first.text)")
        try stock.product("B")
        _ = try stock.send("POST", "/api/warehouses", #"{"id":"w","name":"W"}"#)
        try stock.set("A", 50)
        for _ in 0..<2 {
            let again = try bulk(stock, rows, key: "k")
            #expect(again.status == 200 && again.body == first.body, "\(again.text)")
        }
        #expect(try stock.levels("A") == [50, 0, 50] && stock.levels("B") == [0, 0, 0])
        // Without a key, and under another one, it is another bulk.
        #expect(try bulk(stock, rows, key: "l").json?["successful"]?.number == 5)
        #expect(try stock.levels("A") == [47, 0, 47] && stock.levels("B") == [1, 0, 1])
        let id = try #require(first.json?["id"]?.text)
        let kept = try stock.send("GET", "/api/inventory/bulk/\(id)").json
        #expect(kept?["failed"]?.number == 4 && kept?["errors"]?.elements.map { $0["index"]?.number } == [1, 2, 3, 5])
    }

    /// As if the replica had died before it could answer: each row is judged once.
    @Test func aRowIsJudgedOnceUnderAKey() throws {
        let stock = try StockServer()
        try stock.product("A")
        let rows = [row("A", "subtract", "9"), row("A", "add", "5")]
        let first = try bulk(stock, rows, key: "k")
        let id = try #require(first.json?["id"]?.text)
        _ = try stock.command("DEL", stock.prefix + "bulk:{\(id)}")
        try stock.set("A", 50)
        let again = try bulk(stock, rows, key: "k")
        #expect(again.body == first.body, "\(again.text)")
        #expect(try stock.levels("A") == [50, 0, 50])
    }

    /// When the key is no longer known, another bulk is made.
    @Test func aKeyThatComesAfterItsTimeIsAnotherOne() throws {
        let stock = try StockServer()
        try stock.product("A")
        let first = try bulk(stock, [row("A", "add", "5")], key: "k")
        let claims = try stock.command("KEYS", stock.prefix + "idem:*").split(separator: "\n")
        #expect(claims.count == 1)
        for claim in claims { _ = try stock.command("DEL", String(claim)) }
        let second = try bulk(stock, [row("A", "add", "6")], key: "k")
        #expect(second.status == 200 && second.json?["id"] != first.json?["id"])
        #expect(try stock.levels("A") == [11, 0, 11])
    }

    @Test func whatIsToldOfABadRowIsShort() throws {
        let stock = try StockServer()
        try stock.product("A")
        let long = String(repeating: "x", count: 1_000_000)
        let many = (0..<20_000).map { #""a\#($0)":1"# }.joined(separator: ",")
        let answer = try bulk(stock, [#"{"\#(long)":1}"#, #""\#(long)""#, "{\(many)}", row("A", "add", "1")])
        #expect(answer.json?["failed"]?.number == 3 && answer.json?["successful"]?.number == 1)
        #expect(answer.body.count < 5000)
    }

    @Test func anAtomicOneFreesWhatHasLapsed() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 5)
        _ = try stock.hold("A", 5, #","expiresInMs":50"#)
        #expect(try await eventually { try bulk(stock, [row("A", "subtract", "5")], mode: "atomic").status == 200 })
        #expect(try stock.levels("A") == [0, 0, 0])
    }

    @Test(arguments: ["partial", "atomic"]) func oneKeyDoesItOnce(_ mode: String) throws {
        let stock = try StockServer(replicas: 2)
        for sku in ["A", "B"] { try stock.product(sku) }
        let rows = [row("A", "add", "1"), row("B", "add", "2"), row("A", "add", "3")]
        let body = #"{"adjustments":[\#(rows.joined(separator: ","))],"mode":"\#(mode)"}"#
        let answers = try stock.atOnce(
            10,
            .init(method: "POST", path: "/api/inventory/bulk-adjust", body: body, headers: [("Idempotency-Key", "k")]))
        #expect(answers.allSatisfy { $0.status == 200 } && Set(answers.map(\.body)).count == 1)
        #expect(try stock.levels("A") == [4, 0, 4] && stock.levels("B") == [2, 0, 2])
        let other = try bulk(stock, [row("B", "add", "2")], mode: mode, key: "k")
        #expect(other.status == 422 && other.json?["field"]?.text == "Idempotency-Key")
        #expect(try stock.levels("B") == [2, 0, 2])
    }

    @Test(arguments: [
        (#"{}"#, "adjustments"), (#"{"adjustments":[]}"#, "adjustments"), (#"{"adjustments":{}}"#, "adjustments"),
        (#"{"adjustments":[{}],"mode":"some"}"#, "mode"), (#"{"adjustments":[{}],"x":1}"#, "x"),
    ])
    func aWrongBulkIsNamedByItsField(_ body: String, _ field: String) throws {
        let answer = try StockServer().send("POST", "/api/inventory/bulk-adjust", body)
        #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
    }
}

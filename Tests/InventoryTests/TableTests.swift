import JSON
import TestSupport
import Testing

/// Products and stock as files.
struct TableTests {
    private func post(_ stock: StockServer, _ path: String, _ body: String, _ type: String = "text/csv") throws
        -> HTTPAnswer
    {
        try stock.send("POST", path, body, headers: [("Content-Type", type)])
    }

    private func lines(_ answer: HTTPAnswer) -> [Substring] {
        answer.text.split(omittingEmptySubsequences: true) { $0 == "\n" || $0 == "\r\n" }
    }

    private func counts(_ answer: HTTPAnswer, _ names: String...) -> [Int?] { names.map { answer.json?[$0]?.number } }

    @Test func productsGoOutAndComeBack() throws {
        let stock = try StockServer()
        // More than a page.
        let many =
            "sku,name,minStockLevel,critical,category\n"
            + (0..<450).map { "S\($0),\"Thing, \"\"\($0)\"\"\",0,1,c\n" }.joined()
        #expect(counts(try post(stock, "/api/products/import", many), "created", "failed") == [450, 0])
        let product = try #require(try stock.send("GET", "/api/products/S7").json)
        #expect(product["name"]?.text == "Thing, \"7\"" && product["minStockLevel"]?.number == 0)
        #expect(product["thresholds"]?["critical"]?.number == 1)
        let csv = try stock.send("GET", "/api/products/export")
        #expect(csv.header("Content-Type") == "text/csv; charset=utf-8" && lines(csv).count == 451)
        let ndjson = try stock.send("GET", "/api/products/export?format=ndjson")
        #expect(lines(ndjson).count == 450 && ndjson.header("Content-Type") == "application/x-ndjson")
        // Nothing is new in what was exported.
        #expect(counts(try post(stock, "/api/products/import", csv.text), "unchanged", "failed") == [450, 0])
        let again = try post(stock, "/api/products/import", ndjson.text, "application/x-ndjson")
        #expect(counts(again, "unchanged", "failed", "updated") == [450, 0, 0])
        let other = try StockServer()
        #expect(counts(try post(other, "/api/products/import", csv.text), "created", "failed") == [450, 0])
        #expect(lines(try other.send("GET", "/api/products/export")).dropFirst().allSatisfy { $0.contains(",c,") })
    }

    @Test func badLinesAreNamedAndHoldUpNoOther() throws {
        let stock = try StockServer()
        try stock.product("A", #","description":"old","thresholds":{"warehouses":{"warehouse-1":{"warning":3}}}"#)
        let file = """
            sku,name,minStockLevel
            A,New,5
            B,,1
            C,Third,five
            D,Fourth
            E,"Fif"th,1
            F,Sixth,2
            F,Again,3

            import,Seventh,1
            """
        let answer = try post(stock, "/api/products/import", file)
        #expect(counts(answer, "created", "updated", "failed") == [1, 2, 5], "\(answer.text)")
        let errors = answer.json?["errors"]?.elements ?? []
        #expect(errors.map { $0["line"]?.number } == [3, 4, 5, 6, 10])
        #expect(errors.map { $0["field"]?.text } == ["name", "minStockLevel", nil, nil, "sku"])
        let changed = try stock.send("GET", "/api/products/A").json
        // What a line does not say stays.
        #expect(changed?["name"]?.text == "New" && changed?["description"]?.text == "old")
        #expect(changed?["thresholds"]?["warehouses"]?["warehouse-1"]?["warning"]?.number == 3)
        #expect(try stock.send("GET", "/api/products/F").json?["name"]?.text == "Again")
    }

    @Test func stockGoesOutAndComesBack() throws {
        let stock = try StockServer(loops: 2)
        for sku in ["A", "B"] { try stock.product(sku) }
        let file = "sku,warehouseId,quantity\nA,warehouse-1,5\nA,warehouse-2,7\nB,warehouse-1,9\n"
        #expect(counts(try post(stock, "/api/inventory/import", file), "successful", "failed") == [3, 0])
        _ = try stock.hold("A", 2)
        let csv = try stock.send("GET", "/api/inventory/export")
        let rows = lines(csv)
        #expect(rows[0] == "sku,productId,warehouseId,quantity,reserved,available,inTransit" && rows.count == 7)
        #expect(rows[1].hasPrefix("A,") && rows[1].hasSuffix(",warehouse-1,5,2,3,0"))
        let one = lines(try stock.send("GET", "/api/inventory/export?format=ndjson&warehouseId=warehouse-2"))
        #expect(one.count == 2 && one[0].contains(#""quantity":7"#))
        #expect(try stock.send("GET", "/api/inventory/export?warehouseId=w").status == 404)
        try stock.set("A", 50)
        #expect(counts(try post(stock, "/api/inventory/import", csv.text), "successful", "failed") == [6, 0])
        #expect(try stock.levels("A") == [5, 2, 3])
        let ndjson = try stock.send("GET", "/api/inventory/export?format=ndjson").text
        let back = try post(stock, "/api/inventory/import", ndjson, "application/x-ndjson")
        #expect(counts(back, "successful", "failed") == [6, 0], "\(back.text)")
        let wrong =
            "sku,warehouseId,type,quantity\nA,warehouse-1,set,1\nC,warehouse-1,add,1\nA,w,add,1\nA,warehouse-1,add,x\nA,warehouse-1,add,4\n"
        let answer = try post(stock, "/api/inventory/import", wrong)
        #expect(counts(answer, "successful", "failed") == [1, 4])
        #expect(answer.json?["errors"]?.elements.map { $0["line"]?.number } == [2, 3, 4, 5])
        #expect(
            answer.json?["errors"]?.elements.map { $0["field"]?.text } == [
                "quantity", "productId", "warehouseId", "quantity",
            ])
        #expect(try stock.levels("A") == [9, 2, 7])
    }

    @Test func oneKeyImportsOnce() throws {
        let stock = try StockServer()
        try stock.product("A")
        let headers = [("Content-Type", "text/csv"), ("Idempotency-Key", "k")]
        for _ in 0..<2 {
            let file = "sku,warehouseId,type,quantity\nA,warehouse-1,add,5\n"
            #expect(try stock.send("POST", "/api/inventory/import", file, headers: headers).status == 200)
        }
        #expect(try stock.levels("A") == [5, 0, 5])
        let other = "sku,warehouseId,type,quantity\nA,warehouse-1,add,6\n"
        #expect(try stock.send("POST", "/api/inventory/import", other, headers: headers).status == 422)
    }

    @Test func whatIsNoTableIsRefused() throws {
        let stock = try StockServer()
        #expect(try post(stock, "/api/products/import", "{}", "application/json").status == 415)
        let column = try post(stock, "/api/products/import", "sku,colour\n")
        #expect(column.status == 400 && column.json?["field"]?.text == "colour")
        #expect(try post(stock, "/api/products/import", "").status == 400)
        #expect(try stock.send("GET", "/api/products/export?format=xml").status == 400)
        let broken = try post(stock, "/api/products/import", "{\"sku\":\n[]\n", "application/x-ndjson")
        #expect(counts(broken, "created", "failed") == [0, 2])
    }
}

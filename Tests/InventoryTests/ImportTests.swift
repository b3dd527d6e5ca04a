import Glibc
import JSON
import TestSupport
import Testing

/// Files as spreadsheets and other programs write them: what can be read for certain is taken, the rest is told.
struct ImportTests {
    private func post(
        _ stock: StockServer, _ table: String, _ body: String, key: String? = nil, type: String = "text/csv"
    ) throws -> HTTPAnswer {
        let headers = [("Content-Type", type)] + (key.map { [("Idempotency-Key", $0)] } ?? [])
        return try stock.send("POST", "/api/\(table)/import", body, headers: headers)
    }

    private func counts(_ answer: HTTPAnswer, _ names: String...) -> [Int?] { names.map { answer.json?[$0]?.number } }

    private func lines(_ answer: HTTPAnswer) -> [Int?] {
        answer.json?["errors"]?.elements.map { $0["line"]?.number } ?? []
    }

    @Test(arguments: [
        "sku,name,minStockLevel\nA,Lamp,5\nB,Shade,6\n", "sku,name,minStockLevel\rA,Lamp,5\rB,Shade,6\r",
        "SKU;Name;MinStockLevel\r\nA;Lamp;5\r\nB;Shade;6\r\n",
        "\u{FEFF}Sku\tNAME\tminstocklevel\nA\tLamp\t5\nB\tShade\t6",
        " sku , name , minStockLevel \n A , Lamp , 5 \n\"B\", \"Shade\" ,\" 6\"\n",
        "sku,name,minStockLevel,,\nA,Lamp,5,,\nB,Shade,6,,\n,,,,\n",
    ])
    func isReadAsItIsMeant(_ file: String) throws {
        let stock = try StockServer()
        let answer = try post(stock, "products", file)
        #expect(counts(answer, "created", "failed") == [2, 0], "\(answer.text)")
        for (sku, name, least) in [("A", "Lamp", 5), ("B", "Shade", 6)] {
            let product = try stock.send("GET", "/api/products/\(sku)").json
            #expect(product?["name"]?.text == name && product?["minStockLevel"]?.number == least)
        }
    }

    @Test func whatIsUncertainIsToldWithItsLines() throws {
        let stock = try StockServer()
        for sku in ["A", "B", "C", "D"] { try stock.product(sku) }
        let file =
            "sku,warehouseId,quantity,reason\nA,warehouse-1,5,x\nB,warehouse-1,\r6,x\nC,warehouse-1,7,x,y\n"
            + "D,warehouse-1,8,\"opened\nA,warehouse-1,9,\nB,warehouse-1,9,\n"
        let answer = try post(stock, "inventory", file)
        #expect(counts(answer, "successful", "failed") == [1, 3], "\(answer.text)")
        #expect(lines(answer) == [3, 4, 5])
        #expect(answer.json?["errors"]?.elements.last?["error"]?.text?.contains("lines 5 to 7 were not taken") == true)
        #expect(try ["A", "B", "C", "D"].map { try stock.levels($0)[0] } == [5, 0, 0, 0])
    }

    @Test func latin1IsToldAndNotTaken() throws {
        let stock = try StockServer()
        let body: [UInt8] = Array("sku,name\nA,Gr".utf8) + [0xFC] + Array("n\nB,Blau\n".utf8)
        let head =
            "POST /api/products/import HTTP/1.1\r\nHost: t\r\nContent-Type: text/csv\r\n"
            + "Content-Length: \(body.count)\r\n\r\n"
        let connection = try stock.servers[0].connect()
        try connection.send([Array(head.utf8) + body])
        let answer = try connection.receive()
        #expect(counts(answer, "created", "failed") == [1, 1] && lines(answer) == [2], "\(answer.text)")
        #expect(answer.text.contains("UTF-8"))
        #expect(try stock.send("GET", "/api/products/A").status == 404)
    }

    @Test(arguments: ["sku,sku\n", "sku,SKU\n", "sku,colour\n", "", "\"sku\n", "\n\n"])
    func aHeaderMustBeOne(_ file: String) throws {
        #expect(try post(StockServer(), "products", file).status == 400)
    }

    @Test func everyBadRowCountsAndSomeAreTold() throws {
        let stock = try StockServer()
        try stock.product("A")
        let bad = String(repeating: "x\n", count: 3000)
        let answer = try post(stock, "inventory", "sku,warehouseId,quantity\n\(bad)A,warehouse-1,5\n")
        #expect(counts(answer, "successful", "failed", "errorsNotTold") == [1, 3000, 2000])
        #expect(lines(answer) == (2...1001).map { $0 })
        // However long what they repeat is.
        let long = String(repeating: "ä", count: 50_000)
        let lines = (0..<20).map { _ in #"{"\#(long)":1}"# }.joined(separator: "\n")
        let told = try post(stock, "inventory", lines, type: "application/x-ndjson")
        #expect(counts(told, "failed") == [20] && told.body.count < 20_000)
    }

    /// A large file of bad rows is worked in slices: another request on the same loop is answered before it.
    @Test func aBadFileHoldsUpNobody() throws {
        let stock = try StockServer()
        let file = "sku,warehouseId,quantity\n" + String(repeating: "x\n", count: 400_000)
        let importing = try BlockingSocket(.tcp(host: "127.0.0.1", port: stock.servers[0].port))
        try importing.send(
            HTTPConnection.encode("POST", "/api/inventory/import", headers: [("Content-Type", "text/csv")], body: file))
        #expect(try stock.send("GET", "/api/products").status == 200)
        var waiting = pollfd(fd: importing.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&waiting, 1, 0) == 0, "the import was answered first")
        #expect(try importing.readLine() == "HTTP/1.1 200 OK")
    }

    /// Also where what had failed could be done meanwhile.
    @Test func oneKeyHasOneAnswer() throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        let file = "sku,warehouseId,type,quantity\nA,warehouse-1,add,5\nB,warehouse-1,add,1\nA,warehouse-1,subtract,9\n"
        let first = try post(stock, "inventory", file, key: "k")
        #expect(counts(first, "successful", "failed") == [1, 2])
        try stock.product("B")
        try stock.set("A", 50)
        let again = try post(stock, "inventory", file, key: "k")
        #expect(again.status == 200 && again.body == first.body)
        #expect(try stock.levels("A") == [50, 0, 50] && stock.levels("B") == [0, 0, 0])
    }

    @Test func formulasComeBackAsTheyWere() throws {
        let stock = try StockServer()
        let (sku, name) = ("@home", "=HYPERLINK(1)")
        let body = #"{"sku":"\#(sku)","name":"\#(name)","description":"- one\n- two","category":"+x"}"#
        #expect(try stock.send("POST", "/api/products", body).status == 201)
        let file = try stock.send("GET", "/api/products/export").text
        for cell in ["'@home", "'=HYPERLINK(1)", "\"'- one\n- two\"", "'+x"] {
            #expect(file.contains("," + cell + ","), "\(file)")
        }
        #expect(counts(try post(stock, "products", file), "unchanged", "failed") == [1, 0])
        let other = try StockServer()
        #expect(counts(try post(other, "products", file), "created", "failed") == [1, 0])
        let product = try other.send("GET", "/api/products/@home").json
        #expect(product?["name"]?.text == name && product?["description"]?.text == "- one\n- two")
        #expect(product?["category"]?.text == "+x")
        let levels = try stock.send("GET", "/api/inventory/export").text
        #expect(levels.contains("'@home,"))
        #expect(counts(try post(stock, "inventory", levels), "failed") == [0])
    }
}

import JSON
import TestSupport
import Testing

/// Products and warehouses.
struct CatalogueTests {
    // MARK: Products

    @Test func aProductIsFoundByIdAndBySKU() throws {
        let stock = try StockServer(replicas: 2)
        let body = """
            {"name":"Lamp","sku":"L-1","description":"bright","category":"lights","minStockLevel":0,
             "thresholds":{"critical":3,"warehouses":{"warehouse-1":{"warning":7,"max":70}}},
             "leadTimeDays":5,"safetyStock":2,"unitsPerOrder":6}
            """
        let made = try stock.send("POST", "/api/products", body)
        let id = try #require(made.json?["id"]?.text)
        #expect(made.status == 201 && made.header("Location") == "/api/products/\(id)")
        #expect(made.header("ETag") == "\"1\"")
        for name in [id, "L-1", id.uppercased()] {
            let answer = try stock.servers[1].request("GET", "/api/products/\(name)")
            #expect(answer.status == 200 && answer.body == made.body, "\(name)")
        }
        let product = try #require(made.json)
        // None at all is no default.
        #expect(product["minStockLevel"]?.number == 0 && product["maxStockLevel"]?.number == 1000)
        #expect(product["unitsPerOrder"]?.number == 6 && product["safetyStock"]?.number == 2)
        #expect(product["thresholds"]?["warehouses"]?["warehouse-1"]?["warning"]?.number == 7)
        #expect(product["createdAt"]?.text == product["updatedAt"]?.text)
        let plain = try stock.send("GET", "/api/products/" + stock.product("L-2")).json
        #expect(plain?["minStockLevel"]?.number == 10 && plain?["maxStockLevel"]?.number == 1000)
        for name in ["L-3", "00000000-0000-4000-8000-000000000000", "a b", "a%2Fb", "%FF", "order"] {
            #expect(try stock.send("GET", "/api/products/" + name.replacing(" ", with: "%20")).status == 404)
        }
    }

    @Test(arguments: [
        (#"{"sku":"A"}"#, "name"), (#"{"name":"n"}"#, "sku"), (#"{"name":"n","sku":"a b "}"#, "sku"),
        (#"{"name":"n","sku":"order"}"#, "sku"), (#"{"name":"","sku":"A"}"#, "name"),
        (#"{"name":"n","sku":"00000000-0000-4000-8000-000000000000"}"#, "sku"),
        (#"{"name":"n","sku":"A","minStockLevel":-1}"#, "minStockLevel"),
        (#"{"name":"n","sku":"A","minStockLevel":"1"}"#, "minStockLevel"),
        (#"{"name":"n","sku":"A","minStockLevel":5,"maxStockLevel":4}"#, "maxStockLevel"),
        (#"{"name":"n","sku":"A","thresholds":{"critical":1.5}}"#, "thresholds.critical"),
        (#"{"name":"n","sku":"A","thresholds":{"warehouses":{"w":{"low":1}}}}"#, "thresholds.warehouses.w.low"),
        (#"{"name":"n","sku":"A","colour":"red"}"#, "colour"),
    ])
    func aWrongProductIsNamedByItsField(_ body: String, _ field: String) throws {
        let stock = try StockServer()
        let answer = try stock.send("POST", "/api/products", body)
        #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
        #expect(try stock.send("GET", "/api/products/A").status == 404)
    }

    @Test func oneOfFiftyCreatesASKU() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        let answers = try stock.atOnce(
            50, .init(method: "POST", path: "/api/products", body: #"{"name":"n","sku":"A"}"#))
        #expect(answers.count { $0.status == 201 } == 1 && answers.count { $0.status == 409 } == 49)
        let made = try #require(answers.first { $0.status == 201 })
        #expect(try stock.send("GET", "/api/products/A").body == made.body)
        // The others' ids lead nowhere.
        #expect(try stock.command("KEYS", stock.prefix + "product-id:*").split(separator: "\n").count == 1)
        try stock.set("A", 3)
        #expect(try stock.levels("A") == [3, 0, 3])
    }

    @Test func oneKeyMakesOneProduct() throws {
        let stock = try StockServer(replicas: 2)
        func create(_ body: String) throws -> HTTPAnswer {
            try stock.send("POST", "/api/products", body, headers: [("Idempotency-Key", "k")])
        }
        let keyed = StockServer.Request(
            method: "POST", path: "/api/products", body: #"{"name":"n","sku":"A"}"#, headers: [("Idempotency-Key", "k")]
        )
        let answers = try stock.atOnce(20, keyed)
        #expect(answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.body)).count == 1)
        #expect(try create(#"{"name":"other","sku":"A"}"#).status == 422)
        #expect(try create(#"{"name":"n","sku":"B"}"#).status == 422)
        #expect(try stock.send("GET", "/api/products/B").status == 404)
        let id = try #require(answers[0].json?["id"]?.text)
        #expect(try stock.send("GET", "/api/products/\(id)").json?["sku"]?.text == "A")
    }

    @Test func oneOfAHundredChangesAVersion() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        let id = try stock.product("A")
        let answers = try stock.atOnce(
            (0..<100).map {
                .init(
                    method: "PUT", path: "/api/products/A", body: #"{"name":"n\#($0)","minStockLevel":0}"#,
                    headers: [("If-Match", "\"1\"")])
            })
        #expect(answers.count { $0.status == 200 } == 1 && answers.count { $0.status == 412 } == 99)
        let changed = try #require(answers.first { $0.status == 200 })
        #expect(changed.header("ETag") == "\"2\"" && changed.json?["id"]?.text == id)
        #expect(try stock.send("GET", "/api/products/\(id)").body == changed.body)
        let fixed = try stock.send("PUT", "/api/products/A", #"{"name":"n","sku":"B"}"#)
        #expect(fixed.status == 422 && fixed.json?["field"]?.text == "sku")
        #expect(try stock.send("PUT", "/api/products/Z", #"{"name":"n"}"#).status == 404)
    }

    @Test func whatIsPutBackAsItWasReadChangesNothing() throws {
        let stock = try StockServer()
        let body = #"""
            {"sku":"A","name":"n","description":"two\r\n\tlines","category":"","minStockLevel":1500,
             "thresholds":{"critical":3,"emergency":1,"warehouses":{"warehouse-1":{"warning":7,"max":70}}},"leadTimeDays":0}
            """#
        let made = try stock.send("POST", "/api/products", body)
        #expect(made.status == 201 && made.json?["category"] == nil, "\(made.text)")
        #expect(made.json?["description"]?.text == "two\r\n\tlines")
        let put = try stock.send("PUT", "/api/products/A", made.text, headers: [("If-Match", "\"1\"")])
        #expect(put.status == 200 && put.body == made.body && put.header("ETag") == "\"1\"")
        #expect(try stock.send("GET", "/api/products/A").body == made.body)
        // Empty text is none.
        let less = made.text.replacing("two\\r\\n\\tlines", with: "")
        let changed = try stock.send("PUT", "/api/products/A", less)
        #expect(changed.json?["description"] == nil && changed.header("ETag") == "\"2\"", "\(changed.text)")
        let bell = try stock.send("PUT", "/api/products/A", #"{"name":"n","description":"\u0007"}"#)
        #expect(bell.json?["field"]?.text == "description")
    }

    @Test func emptyTextIsNone() throws {
        let stock = try StockServer()
        try stock.product("A")
        let adjust = #"{"warehouseId":"warehouse-1","type":"set","quantity":9,"reason":""}"#
        #expect(try stock.send("POST", "/api/inventory/A/adjust", adjust).status == 200)
        let held = try stock.reserve("A", 1, #","orderId":"""#)
        #expect(held.status == 201 && held.json?["orderId"] == nil, "\(held.text)")
        let order = #"{"orderId":"","lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":1}]}"#
        #expect(try stock.send("POST", "/api/reservations", order).status == 201)
        let transfer =
            #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":1,"reason":""}"#
        #expect(try stock.send("POST", "/api/transfers", transfer).status == 201)
        #expect(try stock.send("POST", "/api/warehouses", #"{"id":"w","name":"W","location":""}"#).status == 201)
    }

    /// A page ends when it is large, and says where to go on.
    @Test func aPageIsBoundedByItsBytes() throws {
        let stock = try StockServer()
        let long = String(repeating: "ü", count: 2000)
        for i in 0..<700 { try stock.product("P\(i)", #","description":"\#(long)""#) }
        var skus: Set<String> = []
        var pages = 0
        var target: String? = "/api/products?limit=1000"
        while let next = target, pages < 20 {
            let answer = try stock.send("GET", next)
            #expect(answer.body.count < 3 << 20)
            skus.formUnion(answer.json?.elements.compactMap { $0["sku"]?.text } ?? [])
            target = answer.header("Link").map { String($0.dropFirst().prefix { $0 != ">" }) }
            pages += 1
        }
        #expect(skus.count == 700 && pages > 1)
    }

    @Test func newThresholdsAreLookedAtWithTheNextChange() throws {
        let stock = try StockServer()
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 50)
        #expect(try stock.send("PUT", "/api/products/A", #"{"name":"n","minStockLevel":60}"#).status == 200)
        try stock.set("A", 49)
        let alert = stock.prefix + "alert:{A}:warehouse-1"
        #expect(try stock.command("HGET", alert, "level") == "warning")
    }

    @Test func productsAreListedInPages() throws {
        let stock = try StockServer()
        for i in 1...7 { try stock.product("P\(i)", #","category":"\#(i % 2 == 0 ? "even" : "odd")""#) }
        var skus: [String] = []
        var target: String? = "/api/products?limit=3"
        while let next = target {
            let answer = try stock.send("GET", next)
            skus += answer.json?.elements.compactMap { $0["sku"]?.text } ?? []
            target = answer.header("Link").map { String($0.dropFirst().prefix { $0 != ">" }) }
        }
        #expect(skus == (1...7).map { "P\($0)" })
        let even = try stock.send("GET", "/api/products?category=even").json?.elements
        #expect(even?.map { $0["sku"]?.text } == ["P2", "P4", "P6"])
    }

    // MARK: Warehouses

    @Test func thereAreThreeToBeginWith() throws {
        let stock = try StockServer(replicas: 2)
        let list = try stock.send("GET", "/api/warehouses").json?.elements ?? []
        #expect(list.map { $0["id"]?.text } == ["warehouse-1", "warehouse-2", "warehouse-3"])
        #expect(list.map { $0["location"]?.text } == ["Mumbai", "Delhi", "Bangalore"])
        #expect(list[0]["name"]?.text == "Main Warehouse" && list[0]["coordinates"] != nil)
        // One that was taken away stays away.
        #expect(try stock.send("DELETE", "/api/warehouses/warehouse-3").status == 204)
        let other = try StockServer(stock.redis, prefix: stock.prefix)
        #expect(try other.send("GET", "/api/warehouses").json?.elements.count == 2)
    }

    @Test func warehousesChangeByVersion() throws {
        let stock = try StockServer()
        let body = """
            {"id":"north","name":"North","coordinates":{"latitude":60.2,"longitude":24},"priority":1,"keptPerMille":100,
             "mayShip":false}
            """
        let made = try stock.send("POST", "/api/warehouses", body)
        #expect(made.status == 201 && made.header("ETag") == "\"1\"" && made.json?["mayReserve"] == .bool(true))
        #expect(try stock.send("POST", "/api/warehouses", body).status == 409)
        #expect(try stock.send("GET", "/api/warehouses").json?.elements.first?["id"]?.text == "north")
        let old = [("If-Match", "\"1\"")]
        let changed = try stock.send("PUT", "/api/warehouses/north", #"{"name":"Nord"}"#, headers: old)
        #expect(changed.status == 200 && changed.header("ETag") == "\"2\"")
        #expect(try stock.send("PUT", "/api/warehouses/north", #"{"name":"N"}"#, headers: old).status == 412)
        #expect(try stock.send("DELETE", "/api/warehouses/north", headers: old).status == 412)
        let shown = try stock.send("GET", "/api/warehouses/north")
        #expect(shown.body == changed.body && shown.json?["keptPerMille"]?.number == 0)
        for (body, field) in [
            (#"{"name":"n","keptPerMille":1001}"#, "keptPerMille"), (#"{}"#, "name"),
            (#"{"name":"n","coordinates":{"latitude":91,"longitude":0}}"#, "coordinates.latitude"),
        ] {
            let answer = try stock.send("PUT", "/api/warehouses/north", body)
            #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(answer.text)")
        }
        #expect(try stock.send("GET", "/api/warehouses/south").status == 404)
    }

    @Test func aWarehouseWithStockStays() throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        try stock.set("A", 1, warehouse: "warehouse-2")
        let refused = try stock.send("DELETE", "/api/warehouses/warehouse-2")
        #expect(refused.status == 409 && refused.text.contains("of A "))
        try stock.set("A", 0, warehouse: "warehouse-2")
        #expect(try stock.send("DELETE", "/api/warehouses/warehouse-2").status == 204)
    }

    @Test func everyReplicaHearsOfAWarehouse() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        #expect(try stock.send("POST", "/api/warehouses", #"{"id":"w","name":"W"}"#).status == 201)
        // Nobody asks the other one for it by name.
        #expect(
            try await eventually {
                try stock.servers[1].request("GET", "/api/inventory/A").json?["inventory"]?.elements.count == 4
            })
    }

    @Test func aNewWarehouseServesAtOnceWhereItIsNamed() throws {
        let stock = try StockServer(replicas: 2, loops: 2)
        try stock.product("A")
        #expect(try stock.send("POST", "/api/warehouses", #"{"id":"w","name":"W"}"#).status == 201)
        let adjusted = try stock.servers[1].request(
            "POST", "/api/inventory/A/adjust", body: #"{"warehouseId":"w","type":"add","quantity":1}"#)
        #expect(adjusted.status == 200, "\(adjusted.text)")
    }

    /// A key that comes again after its time is of another request: its product is another one.
    @Test func aKeyAfterItsTime() throws {
        let stock = try StockServer()
        func make(_ sku: String) throws -> HTTPAnswer {
            let body = #"{"name":"n","sku":"\#(sku)"}"#
            return try stock.send("POST", "/api/products", body, headers: [("Idempotency-Key", "k")])
        }
        let first = try make("A")
        #expect(try first.status == 201 && make("A").body == first.body && make("B").status == 422)
        let claims = try RESPConnection(.unix(path: stock.redis.socketPath))
            .command(["KEYS", stock.prefix + "idem:*"]).elements.map(\.text)
        for claim in claims { _ = try stock.command("DEL", claim) }
        let second = try make("B")
        #expect(second.status == 201)
        let ids = [first, second].compactMap { $0.json?["id"]?.text }
        #expect(ids.count == 2 && ids[0] != ids[1])
        for (id, sku) in zip(ids, ["A", "B"]) {
            #expect(try stock.send("GET", "/api/products/\(id)").json?["sku"]?.text == sku)
        }
    }
}

import JSON
import TestSupport
import Testing

/// Warehouses that go away while there is something in them, and a list that is set back.
struct WarehouseTests {
    private func ids(_ stock: StockServer, _ replica: Int = 0) throws -> [String] {
        try stock.servers[replica].request("GET", "/api/warehouses").json?.elements.compactMap { $0["id"]?.text } ?? []
    }

    private func delete(_ stock: StockServer, _ id: String) throws -> Int {
        try stock.send("DELETE", "/api/warehouses/\(id)").status
    }

    @Test func notWithATransferOnItsWay() throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 5)
        let body = #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":5}"#
        let id = try #require(try stock.send("POST", "/api/transfers", body).json?["id"]?.text)
        #expect(try [delete(stock, "warehouse-1"), delete(stock, "warehouse-2")] == [409, 409])
        _ = try stock.send("PUT", "/api/transfers/\(id)/ship")
        #expect(try [delete(stock, "warehouse-1"), delete(stock, "warehouse-2")] == [409, 409])
        _ = try stock.send("PUT", "/api/transfers/\(id)/receive")
        #expect(try [delete(stock, "warehouse-1"), delete(stock, "warehouse-2")] == [204, 409])
        #expect(try ids(stock) == ["warehouse-2", "warehouse-3"])
    }

    /// A replica that has not heard of it yet puts stock there: then the warehouse comes back.
    @Test func stockThatComesLate() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        #expect(try delete(stock, "warehouse-2") == 204)
        _ = try stock.command("HSET", stock.prefix + "stock:{A}", "warehouse-2:quantity", "3")
        let report = try stock.send("POST", "/api/inventory/reconcile", "{}").json
        #expect(report?["unknownWarehouses"]?.elements.first?["warehouseId"]?.text == "warehouse-2")
        #expect(try await eventually { try ids(stock, 1).contains("warehouse-2") })
        #expect(try delete(stock, "warehouse-3") == 204)
        #expect(
            try await eventually {
                try stock.command("HEXISTS", stock.prefix + "warehouses", "closing:warehouse-3") == "0"
            })
        #expect(try !ids(stock).contains("warehouse-3"))
    }

    /// A name that was given up a moment ago may be given again.
    @Test func madeAnewAtOnce() throws {
        let stock = try StockServer()
        #expect(try delete(stock, "warehouse-2") == 204)
        #expect(try stock.send("POST", "/api/warehouses", #"{"id":"warehouse-2","name":"New"}"#).status == 201)
        #expect(try stock.command("HEXISTS", stock.prefix + "warehouses", "closing:warehouse-2") == "0")
        #expect(try ids(stock).contains("warehouse-2"))
    }

    /// Redis has lost the latest changes: every replica takes the list as it is there.
    @Test func aListThatWasSetBack() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        let key = stock.prefix + "warehouses"
        let before = try stock.command("HGET", key, "revision")
        #expect(try stock.send("POST", "/api/warehouses", #"{"id":"north","name":"North"}"#).status == 201)
        func add(_ replica: Int) throws -> Int {
            let body = #"{"warehouseId":"north","type":"add","quantity":1}"#
            return try stock.servers[replica].request("POST", "/api/inventory/A/adjust", body: body).status
        }
        #expect(try [add(0), add(1)] == [200, 200])
        _ = try stock.command("HDEL", key, "north")
        _ = try stock.command("HSET", key, "revision", before)
        for replica in 0..<2 { #expect(try await eventually { try add(replica) == 404 }) }
        let report = try stock.send("POST", "/api/inventory/reconcile", "{}").json
        #expect(report?["unknownWarehouses"]?.elements.first?["warehouseId"]?.text == "north")
    }
}

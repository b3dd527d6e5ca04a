import JSON
import TestSupport
import Testing

/// Redis at its memory limit: what grows is refused, what gives back goes on.
struct FullStoreTests {
    @Test(arguments: [false, true]) func whatGivesBackGoesOn(onACluster: Bool) throws {
        let cluster = onACluster ? try RedisCluster() : nil
        let stock = try cluster.map { try StockServer($0) } ?? StockServer(try RedisServer())
        func limit(_ bytes: String) throws {
            for server in cluster?.masters ?? [stock.redis] { try server.redis("CONFIG", "SET", "maxmemory", bytes) }
        }
        for sku in ["A", "B"] {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 20)
        }
        let ids = try (0..<3).map { _ in try stock.hold("A", 2) }
        let lines =
            #"{"lines":[{"productId":"A","warehouseId":"warehouse-1","quantity":1},{"productId":"B","warehouseId":"warehouse-1","quantity":1}]}"#
        let order = try #require(try stock.send("POST", "/api/reservations", lines).json?["id"]?.text)
        try limit("1000000")
        for _ in 0..<2 {
            let refused = try stock.reserve("A", 1)
            #expect(refused.status == 503 && refused.json?["type"]?.text == "/problems/store-full", "\(refused.text)")
        }
        #expect(try stock.send("POST", "/api/reservations", lines).status == 503)
        #expect(try stock.send("PUT", "/api/reservations/\(ids[0])/confirm").status == 200)
        #expect(try stock.send("PUT", "/api/reservations/\(ids[1])/cancel").status == 200)
        #expect(try stock.send("PUT", "/api/reservations/\(order)/confirm").status == 200)
        #expect(try stock.levels("A") == [17, 2, 15])
        try limit("0")
        #expect(try stock.reserve("A", 1).status == 201)
        #expect(try stock.levels("A") == [17, 3, 14])
    }
}

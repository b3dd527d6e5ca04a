import JSON
import TestSupport
import Testing

/// A master dies under reservations, and its replica takes over.
@Suite(.serialized) struct FailoverTests {
    private func request(_ sku: String, _ key: String, isDurable: Bool = true) -> StockServer.Request {
        // Once a master is gone there is no replica to be as safe as that.
        var request = StockServer.reservation(sku, 1, isDurable ? #","durability":"replicated""# : "")
        request.headers = [("Idempotency-Key", key)]
        return request
    }

    private func shop(_ stock: StockServer, _ skus: [String]) throws {
        for sku in skus {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 1000)
        }
    }

    /// Asks for the same holds until each has been answered with 201.
    private func insist(_ stock: StockServer, _ requests: [StockServer.Request]) async throws -> [String] {
        var ids = [String](repeating: "", count: requests.count)
        let areMade = try await eventually {
            let open = ids.indices.filter { ids[$0].isEmpty }
            for (place, answer) in zip(open, try stock.atOnce(open.map { requests[$0] })) {
                #expect([201, 503].contains(answer.status), "\(answer.status) \(answer.text)")
                if answer.status == 201 { ids[place] = answer.json?["id"]?.text ?? "" }
            }
            return !ids.contains("")
        }
        #expect(areMade)
        return ids
    }

    /// Readers may come to the new master a moment later than writers.
    private func areThere(_ stock: StockServer, _ ids: [String]) async throws {
        for id in ids {
            var answer = try stock.send("GET", "/api/reservations/\(id)")
            _ = try await eventually {
                answer = try stock.send("GET", "/api/reservations/\(id)")
                return answer.status != 503
            }
            #expect(answer.status == 200, "\(answer.text)")
        }
    }

    @Test func aClustersMasterDies() async throws {
        let cluster = try RedisCluster(masters: 3, replicas: 1)
        let stock = try StockServer(cluster)
        let skus = ClusterFixture.skus(3)
        try shop(stock, skus)
        let rows = skus.map { #"{"productId":"\#($0)","warehouseId":"warehouse-1","quantity":5}"# }
        let order = StockServer.Request(
            method: "POST", path: "/api/reservations",
            body: #"{"lines":[\#(rows.joined(separator: ","))],"durability":"replicated"}"#)
        let whole = try stock.atOnce([order])[0]
        #expect(whole.status == 201, "\(whole.text)")
        let before = try await insist(stock, (0..<20).map { request(skus[0], "before-\($0)") })
        try cluster.owner(ofSlot: try cluster.slot(of: "{\(skus[0])}")).kill()
        // Other slots go on.
        for i in 0..<5 { #expect(try stock.atOnce([request(skus[1], "other-\(i)")])[0].status == 201) }
        let after = try await insist(stock, (0..<20).map { request(skus[0], "after-\($0)", isDurable: false) })
        // Nothing that was acknowledged is missing, and nothing is there twice.
        try await areThere(stock, before + after)
        #expect(try stock.levels(skus[0]) == [1000, 45, 955])
        let id = try #require(whole.json?["id"]?.text)
        #expect(try stock.send("PUT", "/api/reservations/\(id)/confirm").status == 200)
        #expect(try stock.levels(skus[0]) == [995, 40, 955] && stock.levels(skus[1]) == [995, 5, 990])
        let drift = try stock.send("POST", "/api/inventory/reconcile", "{}").text
        #expect(drift.contains(#""drifts":0"#), "\(drift)")
    }

    /// Once the master is killed, and once it hands over in good order and refuses as a replica from then on.
    @Test(arguments: [false, true]) func aMasterUnderSentinelGoes(inGoodOrder: Bool) async throws {
        let sentinels = try RedisSentinels()
        let stock = try StockServer(sentinels.servers[0], url: sentinels.url)
        try shop(stock, ["A", "B"])
        let before = try await insist(stock, (0..<20).map { request($0 % 2 == 0 ? "A" : "B", "before-\($0)") })
        if inGoodOrder { try sentinels.failOver() } else { sentinels.servers[0].kill() }
        let after = try await insist(
            stock, (0..<20).map { request($0 % 2 == 0 ? "A" : "B", "after-\($0)", isDurable: inGoodOrder) })
        try await areThere(stock, before + after)
        let levels = (try stock.levels("A"), try stock.levels("B"))
        #expect(levels.0 == [1000, 20, 980] && levels.1 == levels.0, "\(levels)")
        let drift = try stock.send("POST", "/api/inventory/reconcile", "{}").text
        #expect(drift.contains(#""drifts":0"#), "\(drift)")
    }
}

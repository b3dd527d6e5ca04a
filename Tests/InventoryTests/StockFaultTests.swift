import Inventory
import JSON
import TestSupport
import Testing

/// Replicas behind a network that does what it likes: reserved stays the sum of the active holds, the ledger tells every
/// change, and under a key there is one hold.
struct StockFaultTests {
    private static let stock = 60

    private struct Told: Sendable {
        /// What a client was told of each key's hold, last.
        var status: [String: String] = [:]
        var ids: [String: Set<String>] = [:]
        var wrong: [String] = []
    }

    @Test func nothingIsLostAndNothingDouble() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let direct = try StockServer(redis, prefix: prefix)
        for sku in ["A", "B"] {
            try direct.product(sku, #","minStockLevel":0"#)
            try direct.set(sku, StockFaultTests.stock)
        }
        let schedule = FaultSchedule(oneIn: 15, longestUs: 60_000)
        let proxies = try (0..<2).map { _ in try RedisFaultProxy(redis, schedule: schedule) }
        let servers = try proxies.map { proxy in
            try TestServer(redis: redis, prefix: prefix, services: [InventoryService.definition()]) {
                $0.redisURL = proxy.url
            }
        }
        let told = Shared(Told())
        for proxy in proxies { proxy.begin() }
        await withTaskGroup(of: Void.self) { group in
            for client in 0..<4 {
                group.addTask {
                    for number in 0..<25 {
                        StockFaultTests.order("\(client)-\(number)", servers, told)
                    }
                }
            }
        }
        for proxy in proxies { proxy.calm() }
        let sum = told.withLock { $0 }
        #expect(sum.wrong.isEmpty, "\(sum.wrong.prefix(3)); \(proxies)")
        #expect(proxies.contains { !$0.suffered.isEmpty })
        #expect(sum.ids.allSatisfy { $0.value.count == 1 }, "a key has two holds: \(sum.ids); \(proxies)")
        #expect(sum.status.values.contains("confirmed") && sum.status.values.contains("cancelled"))
        var confirmed = ["A": 0, "B": 0]
        for (key, status) in sum.status {
            guard let id = sum.ids[key]?.first else { continue }
            let hold = try direct.send("GET", "/api/reservations/\(id)").json
            let now = hold?["status"]?.text ?? "missing"
            // What nobody has answered may have happened.
            let may = status == "unknown" ? ["active", "confirmed", "cancelled"] : [status]
            #expect(may.contains(now), "\(id) is \(now), and \(status) was said; \(proxies)")
            if now == "confirmed" { confirmed[hold?["sku"]?.text ?? "", default: 0] += hold?["quantity"]?.number ?? 0 }
        }
        for sku in ["A", "B"] {
            let levels = try direct.levels(sku)
            #expect(levels[0] == StockFaultTests.stock - confirmed[sku]!, "\(levels); \(proxies)")
            #expect((0...levels[0]).contains(levels[1]), "\(levels); \(proxies)")
        }
        let compared = try direct.send("POST", "/api/inventory/reconcile", "{}")
        #expect(compared.status == 200 && compared.json?["drifts"]?.number == 0, "\(compared.text); \(proxies)")
    }

    /// Reserves under a key until the outcome is known, then confirms or cancels or leaves it.
    private static func order(_ key: String, _ servers: [TestServer], _ told: Shared<Told>) {
        let choice = key.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF }
        let sku = choice % 2 == 0 ? "A" : "B"
        let request = StockServer.reservation(sku, 1 + choice % 3)
        var id: String?
        for attempt in 0..<200 where id == nil {
            let answer = try? servers[(choice + attempt) % 2].request(
                request.method, request.path, headers: [("Idempotency-Key", key)], body: request.body)
            if answer?.status == 409, answer?.json?["available"] != nil { return }
            guard let answer, answer.status == 201 else {
                note(answer, told)
                continue
            }
            id = answer.json?["id"]?.text
        }
        guard let id else { return }
        told.withLock {
            $0.ids[key, default: []].insert(id)
            $0.status[key] = "active"
        }
        let word = ["confirm", "cancel", "leave"][choice / 7 % 3]
        if word == "leave" {
            // The key still finds the same hold.
            let again = try? servers[choice % 2].request(
                request.method, request.path, headers: [("Idempotency-Key", key)], body: request.body)
            if let other = again?.json?["id"]?.text { told.withLock { _ = $0.ids[key]!.insert(other) } }
            return
        }
        told.withLock { $0.status[key] = "unknown" }
        for attempt in 0..<200 {
            let answer = try? servers[(choice + attempt) % 2].request("PUT", "/api/reservations/\(id)/\(word)")
            if answer?.status == 200 {
                return told.withLock { $0.status[key] = answer?.json?["status"]?.text ?? "?" }
            }
            note(answer, told)
        }
    }

    private static func note(_ answer: HTTPAnswer?, _ told: Shared<Told>) {
        guard let answer, ![503, 409].contains(answer.status) else { return }
        told.withLock { $0.wrong.append("\(answer.status) \(answer.text)") }
    }
}

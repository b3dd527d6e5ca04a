import Inventory
import JSON
import TestSupport
import Testing

/// EXEC was sent, and nobody heard what became of it.
struct UnknownOutcomeTests {
    private let redis: RedisServer
    private let proxy: RedisFaultProxy
    private let prefix: String
    private let server: TestServer
    /// Another replica, which has Redis to itself.
    private let stock: StockServer

    init() throws { try self.init([]) }

    private init(_ faults: [RedisFaultProxy.Fault]) throws {
        let redis = try RedisServer.shared
        let proxy = try RedisFaultProxy(redis, faults: faults)
        let prefix = redis.prefix()
        stock = try StockServer(redis, prefix: prefix)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 10)
        server = try TestServer(redis: redis, prefix: prefix, services: [InventoryService.definition()]) {
            $0.redisURL = proxy.url
        }
        (self.redis, self.proxy, self.prefix) = (redis, proxy, prefix)
    }

    private func reserve(key: String? = nil) throws -> HTTPAnswer {
        let request = StockServer.reservation("A", 3)
        return try server.request(
            "POST", request.path, headers: key.map { [("Idempotency-Key", $0)] } ?? [], body: request.body)
    }

    /// How often the ledger tells of a reservation.
    private func reservations() throws -> Int {
        try stock.command("XRANGE", prefix + "ledger:{A}", "-", "+").split(separator: "\n").count { $0 == "reserve" }
    }

    @Test(arguments: [RedisFaultProxy.Fault.cutBefore, .cutAfter]) func foundAgain(_ fault: RedisFaultProxy.Fault)
        throws
    {
        let test = try UnknownOutcomeTests([fault])
        let answer = try test.reserve()
        #expect(answer.status == 201 && answer.json?["status"]?.text == "active", "\(answer.text)")
        #expect(try test.stock.levels("A") == [10, 3, 7])
        #expect(try test.reservations() == 1)
        let id = answer.json?["id"]?.text ?? ""
        #expect(try test.stock.send("GET", "/api/reservations/\(id)").json?["quantity"]?.number == 3)
    }

    /// The transaction reaches Redis after it was looked for: by then it must fail.
    @Test func whatComesLateIsFencedOff() async throws {
        let test = try UnknownOutcomeTests([.late])
        #expect(try test.reserve().status == 201)
        #expect(try test.stock.levels("A") == [10, 3, 7])
        test.proxy.release()
        #expect(await eventually { test.proxy.lateReplies.count == 1 })
        // MULTI and the queued commands went well, and EXEC did nothing.
        #expect(test.proxy.lateReplies.first?.contains("*-1\r\n") == true, "\(test.proxy.lateReplies)")
        #expect(try test.stock.levels("A") == [10, 3, 7])
        #expect(try test.reservations() == 1)
    }

    @Test func redisStaysAway() async throws {
        let test = try UnknownOutcomeTests([.cutAfterForGood])
        let doubtful = try test.reserve(key: "one")
        #expect(doubtful.status == 503 && doubtful.header("Retry-After") != nil, "\(doubtful.text)")
        #expect(doubtful.text.contains("may have taken effect"))
        #expect(try test.stock.levels("A") == [10, 3, 7])
        test.proxy.isAway = false
        // The same key finds the hold, here and at any other replica.
        #expect(try await eventually { try test.reserve(key: "one").status == 201 })
        #expect(try test.stock.levels("A") == [10, 3, 7])
    }

    /// Nothing was sent, so nothing can have happened.
    @Test func neverSent() async throws {
        let test = try UnknownOutcomeTests([])
        test.proxy.isAway = true
        let answer = try test.reserve()
        #expect(answer.status == 503 && answer.header("Retry-After") != nil, "\(answer.text)")
        test.proxy.isAway = false
        #expect(try test.stock.levels("A") == [10, 0, 10])
        #expect(try await eventually { try test.reserve().status == 201 })
    }

    @Test func confirmedOnce() throws {
        let test = try UnknownOutcomeTests([.none, .cutAfter])
        let id = try #require(try test.reserve().json?["id"]?.text)
        let answer = try test.server.request("PUT", "/api/reservations/\(id)/confirm")
        #expect(answer.status == 200 && answer.json?["status"]?.text == "confirmed")
        #expect(try test.stock.levels("A") == [7, 0, 7])
    }
}

import JSON
import Synchronization
import TestSupport
import Testing

/// Whether counters, holds and ledger agree, and what is set right where they don't.
struct ReconcileTests {
    /// A with 15 of which 3 are reserved, and B likewise.
    private func shop(replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(replicas: replicas)
        for sku in ["A", "B"] {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 20)
            try stock.set(sku, 15)
            _ = try stock.hold(sku, 3)
        }
        return stock
    }

    private func reconcile(_ stock: StockServer, _ body: String = #"{"repair":true}"#) throws -> JSONValue {
        let answer = try stock.send("POST", "/api/inventory/reconcile", body)
        #expect(answer.status == 200, "\(answer.text)")
        return answer.json ?? .null
    }

    private func names(_ report: JSONValue, _ list: String) -> [String] {
        (report[list]?.elements ?? []).compactMap { $0["sku"]?.text }
    }

    private func entries(_ stock: StockServer) throws -> [String] {
        try RESPConnection(.unix(path: stock.redis.socketPath))
            .command(["XRANGE", stock.prefix + "ledger:{A}", "-", "+"]).elements.map { $0.elements[0].text }
    }

    /// What it says is no reason to take stock away, and what is wrong elsewhere is set right all the same.
    @Test(arguments: ["trimmed", "deleted", "middle", "newest", "all entries", "other type", "begun anew"])
    func aDamagedLedgerJudgesNothing(_ damage: String) throws {
        let stock = try shop()
        let key = stock.prefix + "ledger:{A}"
        let ids = try entries(stock)
        switch damage {
        case "trimmed": _ = try stock.command("XTRIM", key, "MAXLEN", "1")
        case "deleted": _ = try stock.command("DEL", key)
        case "middle": _ = try stock.command("XDEL", key, ids[1])
        case "newest": _ = try stock.command("XDEL", key, ids[2])
        case "all entries": _ = try stock.command("XTRIM", key, "MAXLEN", "0")
        case "begun anew":
            _ = try stock.command("DEL", key)
            _ = try stock.hold("A", 1)
        default:
            _ = try stock.command("DEL", key)
            _ = try stock.command("SET", key, "x")
        }
        let before = try stock.levels("A")
        _ = try stock.command("HINCRBY", stock.prefix + "stock:{B}", "warehouse-1:reserved", "2")
        let report = try reconcile(stock)
        #expect(names(report, "unjudged") == ["A"] && report["unjudged"]?.elements[0]["reason"]?.text != nil)
        #expect(try stock.levels("A") == before)
        #expect(names(report, "drift").contains("B"))
        #expect(try stock.levels("B") == [15, 3, 12])
        #expect(names(try reconcile(stock), "drift").contains("B") == false)
    }

    @Test(arguments: ["missing", "other type", "no number", "no product"])
    func aDamagedStockKeyIsReported(_ damage: String) throws {
        let stock = try shop()
        let key = stock.prefix + "stock:{A}"
        switch damage {
        case "missing": _ = try stock.command("DEL", key)
        case "no number": _ = try stock.command("HSET", key, "warehouse-1:reserved", "x")
        case "no product": _ = try stock.command("HDEL", key, "product")
        default:
            _ = try stock.command("DEL", key)
            _ = try stock.command("SET", key, "x")
        }
        for body in ["{}", #"{"repair":true}"#, #"{"productId":"A"}"#] {
            #expect(names(try reconcile(stock, body), "unjudged") == ["A"])
        }
        #expect(try reconcile(stock)["checked"]?.number == 1)
    }

    /// A hold that no list has any more is found by the ledger, stays, and ends when it was to end.
    @Test(arguments: [false, true]) func aLostPlaceIsFoundAndPutBack(_ all: Bool) async throws {
        let stock = try shop()
        let hold = try stock.hold("A", 2, #","expiresInMs":60000"#)
        let transfer = #"{"productId":"A","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":4}"#
        let moving = try #require(try stock.send("POST", "/api/transfers", transfer).json?["id"]?.text)
        _ = try stock.send("PUT", "/api/transfers/\(moving)/ship")
        let before = try stock.levels("A")
        let expiry = stock.prefix + "expiry:{A}"
        let suffix = String(hold.split(separator: "~")[1])
        let score = try stock.command("ZSCORE", expiry, suffix)
        if all { _ = try stock.command("DEL", expiry) } else { _ = try stock.command("ZREM", expiry, suffix) }
        _ = try stock.command("DEL", stock.prefix + "transfers:{A}")
        let found = try reconcile(stock, "{}")
        #expect(names(found, "unlisted") == ["A"] && names(found, "unjudged") == [] && names(found, "drift") == [])
        #expect(found["unlisted"]?.elements[0]["count"]?.number == (all ? 3 : 2))
        _ = try reconcile(stock)
        #expect(try stock.levels("A") == before)
        #expect(try stock.command("ZSCORE", expiry, suffix) == score)
        #expect(try stock.command("SCARD", stock.prefix + "transfers:{A}") == "1")
        #expect(names(try reconcile(stock, "{}"), "unlisted") == [])
    }

    /// With the beginning of the ledger forgotten, a hold from before it may be anywhere.
    @Test func whatTheLedgerHasForgottenIsNotGivenBack() throws {
        let stock = try shop()
        _ = try stock.command("HSET", stock.prefix + "stock:{A}", "version", "9999")
        _ = try stock.hold("A", 1)
        let ids = try entries(stock)
        _ = try stock.command("XTRIM", stock.prefix + "ledger:{A}", "MINID", ids[4])
        _ = try stock.command("DEL", stock.prefix + "expiry:{A}")
        let before = try stock.levels("A")
        #expect(names(try reconcile(stock), "unjudged") == ["A"])
        #expect(try stock.levels("A") == before)
    }

    /// A record that is gone is no hold any more.
    @Test func aLostRecordIsGivenBack() throws {
        let stock = try shop()
        let hold = try stock.hold("A", 2)
        _ = try stock.command("DEL", stock.prefix + "reservation:{A}:" + hold.split(separator: "~")[1])
        let report = try reconcile(stock)
        #expect(names(report, "drift") == ["A"] && report["drift"]?.elements[0]["repaired"] == .bool(true))
        #expect(try stock.levels("A") == [15, 3, 12])
    }

    @Test func moreThanThereIsIsNotReserved() throws {
        let stock = try shop()
        let hold = try stock.hold("A", 2)
        let key = stock.prefix + "reservation:{A}:" + hold.split(separator: "~")[1]
        _ = try stock.command("HSET", key, "allocation", "warehouse-1:50")
        let report = try reconcile(stock)
        #expect(names(report, "unjudged") == ["A"] && report["drift"]?.elements[0]["repaired"] == .bool(false))
        #expect(try stock.levels("A") == [15, 5, 10])
    }

    /// Nothing is found where nothing is wrong, however much is sold meanwhile; and what is wrong is found and set right.
    @Test func whileItTrades() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A", #","minStockLevel":0"#)
        try stock.set("A", 100_000)
        let lost = try stock.hold("A", 7)
        for _ in 0..<12 {
            #expect(try stock.atOnce(100, StockServer.reservation("A", 1)).allSatisfy { $0.status == 201 })
        }
        let isOver = Over()
        let traders = (0..<2).map { _ in
            Task.detached {
                while !isOver.value.load(ordering: .relaxed) {
                    let held = try stock.atOnce(8, StockServer.reservation("A", 2)).compactMap { $0.json?["id"]?.text }
                    for (i, id) in held.enumerated() {
                        _ = try stock.send("PUT", "/api/reservations/\(id)/" + (i % 2 == 0 ? "confirm" : "cancel"))
                    }
                }
            }
        }
        defer { isOver.value.store(true, ordering: .relaxed) }
        for _ in 0..<15 {
            let report = try reconcile(stock)
            #expect(["unjudged", "drift", "unlisted"].allSatisfy { names(report, $0) == [] }, "\(report)")
        }
        _ = try stock.command("DEL", stock.prefix + "reservation:{A}:" + lost.split(separator: "~")[1])
        let report = try reconcile(stock)
        #expect(names(report, "drift") == ["A"] && names(report, "unjudged") == [], "\(report)")
        let row = report["drift"]?.elements[0]
        #expect((row?["counters"]?["reserved"]?.number ?? 0) - (row?["expected"]?["reserved"]?.number ?? 0) == 7)
        #expect(names(try reconcile(stock), "drift") == [])
        isOver.value.store(true, ordering: .relaxed)
        for trader in traders { try await trader.value }
    }

    private final class Over: Sendable {
        let value = Atomic(false)
    }
}

import JSON
import TestSupport
import Testing

/// Bulks that are done in the background, and undone.
struct BackgroundBulkTests {
    private func row(_ sku: String, _ type: String, _ quantity: Int, reason: String = "") -> String {
        #"{"productId":"\#(sku)","warehouseId":"warehouse-1","type":"\#(type)","quantity":\#(quantity)}"#
    }

    private func post(
        _ stock: StockServer, _ rows: [String], mode: String = "partial", headers: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try stock.send(
            "POST", "/api/inventory/bulk-adjust",
            #"{"adjustments":[\#(rows.joined(separator: ","))],"mode":"\#(mode)"}"#,
            headers: headers)
    }

    private func begin(_ stock: StockServer, _ rows: [String], mode: String = "partial") throws -> String {
        let answer = try post(stock, rows, mode: mode)
        guard answer.status == 202, let place = answer.header("Location") else {
            throw SetUpFailure("no bulk: \(answer.status) \(answer.text)")
        }
        return place
    }

    /// The bulk once its status is one of these.
    private func awaits(_ stock: StockServer, _ place: String, _ statuses: String...) async throws -> JSONValue {
        var last: JSONValue?
        let isThere = try await eventually {
            last = try stock.send("GET", place).json
            return statuses.contains(last?["status"]?.text ?? "")
        }
        #expect(isThere, "\(last?.text() ?? "")")
        return try #require(last)
    }

    private func counts(_ bulk: JSONValue, _ names: String...) -> [Int?] { names.map { bulk[$0]?.number } }

    @Test func eachRowIsDoneOnce() async throws {
        let stock = try StockServer(replicas: 2)
        for i in 0..<7 { try stock.product("P\(i)") }
        let rows = (0..<2100).map { i in
            i % 100 == 7 ? row("P1", "add", 0) : i % 100 == 8 ? row("nobody", "add", 1) : row("P\(i % 7)", "add", 1)
        }
        let place = try begin(stock, rows)
        let bulk = try await awaits(stock, place, "completed")
        #expect(counts(bulk, "total", "processed", "successful", "failed") == [2100, 2100, 2058, 42])
        #expect(bulk["progress"] == .double(1) || bulk["progress"] == .int(1))
        let wrong = Set(bulk["errors"]?.elements.compactMap { $0["index"]?.number } ?? [])
        #expect(wrong == Set((0..<21).flatMap { [$0 * 100 + 7, $0 * 100 + 8] }))
        #expect(try (0..<7).reduce(0) { try $0 + stock.levels("P\($1)")[0] } == 2058)
    }

    @Test func anotherReplicaGoesOnWhereOneDied() async throws {
        let stock = try StockServer()
        try stock.product("A")
        let place = try begin(stock, (0..<1500).map { _ in row("A", "add", 1) })
        _ = try await awaits(stock, place, "completed")
        #expect(try stock.levels("A") == [1500, 0, 1500])
        // As a process leaves it that dies when a chunk is done and not yet told of, its lease almost over.
        let id = String(place.split(separator: "/").last ?? "")
        _ = try stock.command(
            "HSET", stock.prefix + "bulk:{\(id)}", "status", "running", "place", "1", "successful", "500")
        _ = try stock.command("ZADD", stock.prefix + "bulk-due:{bulks}:taken", "1", id)
        let bulk = try await awaits(stock, place, "completed")
        #expect(counts(bulk, "successful", "failed") == [1500, 0])
        #expect(try stock.levels("A") == [1500, 0, 1500])
    }

    @Test func oneKeyIsOneBulk() async throws {
        let stock = try StockServer(replicas: 2)
        try stock.product("A")
        let rows = (0..<1001).map { _ in row("A", "add", 1) }
        let body = #"{"adjustments":[\#(rows.joined(separator: ","))]}"#
        let answers = try stock.atOnce(
            4,
            .init(method: "POST", path: "/api/inventory/bulk-adjust", body: body, headers: [("Idempotency-Key", "k")]))
        #expect(answers.allSatisfy { $0.status == 202 } && Set(answers.map { $0.header("Location") }).count == 1)
        _ = try await awaits(stock, answers[0].header("Location") ?? "", "completed")
        #expect(try stock.levels("A") == [1001, 0, 1001])
        #expect(try post(stock, Array(rows.dropLast(1)), headers: [("Idempotency-Key", "k")]).status == 422)
    }

    @Test func anAtomicOneIsTriedOutBefore() async throws {
        let stock = try StockServer()
        for sku in ["A", "B"] { try stock.product(sku) }
        let good = (0..<1200).map { row($0 % 2 == 0 ? "A" : "B", "add", 1) }
        let refused = try begin(stock, good + [row("A", "subtract", 601)], mode: "atomic")
        let bulk = try await awaits(stock, refused, "failed", "completed")
        #expect(bulk["status"]?.text == "failed" && bulk["errors"]?.elements.map { $0["index"]?.number } == [1200])
        #expect(try stock.command("EXISTS", stock.prefix + "ledger:{A}") == "0")
        let done = try begin(stock, good + [row("A", "subtract", 600)], mode: "atomic")
        #expect(counts(try await awaits(stock, done, "completed"), "successful", "failed") == [1201, 0])
        #expect(try stock.levels("A") == [0, 0, 0] && stock.levels("B") == [600, 0, 600])
        #expect(try post(stock, good + [row("A", "add", 0)], mode: "atomic").status == 409)
    }

    @Test func anAtomicOneThatFailsLaterIsUndone() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 1000)
        let place = try begin(stock, (0..<1001).map { _ in row("A", "add", 1) }, mode: "atomic")
        _ = try await awaits(stock, place, "completed")
        let id = String(place.split(separator: "/").last ?? "")
        // The same bulk, as if what it takes had been sold after it was tried out: its last row can't be done.
        let rows = #"[[1000,{"productId":"A","warehouseId":"warehouse-1","type":"set","quantity":1,"expected":77}]]"#
        _ = try stock.command("HSET", stock.prefix + "bulk:{\(id)}:rows", "2", rows)
        _ = try stock.command("DEL", stock.prefix + "adjustment:{A}:" + (try adjustmentIDs(stock).last ?? ""))
        _ = try stock.command(
            "HSET", stock.prefix + "bulk:{\(id)}", "status", "running", "place", "0", "successful", "0")
        _ = try stock.command("ZADD", stock.prefix + "bulk-due:{bulks}", "1", id)
        let bulk = try await awaits(stock, place, "failed")
        #expect(bulk["rolledBack"]?.number == 1000 && bulk["failed"]?.number == 1)
        // What the last row had added stays: it was of the bulk that was completed.
        #expect(try stock.levels("A") == [1001, 0, 1001])
    }

    /// Of a SKU's adjustments in the order of the ledger.
    private func adjustmentIDs(_ stock: StockServer) throws -> [String] {
        let words = try stock.command("XRANGE", stock.prefix + "ledger:{A}", "-", "+").split(separator: "\n")
        return words.indices.filter { words[$0] == "id" }.map { String(words[$0 + 1]) }
    }

    @Test(arguments: [3, 1200]) func aBulkIsRolledBackOnce(_ count: Int) async throws {
        let stock = try StockServer(replicas: 2)
        for sku in ["A", "B"] { try stock.product(sku) }
        try stock.set("A", 10)
        let rows = (0..<count - 1).map { _ in row("A", "add", 2) } + [row("B", "set", 9)]
        let answer = try post(stock, rows)
        let place = try answer.header("Location") ?? "/api/inventory/bulk/" + #require(answer.json?["id"]?.text)
        _ = try await awaits(stock, place, "completed")
        let full = 10 + 2 * (count - 1)
        #expect(try stock.levels("A")[0] == full && stock.levels("B")[0] == 9)
        _ = try stock.hold("B", 1)
        let answers = try stock.atOnce(5, .init(method: "POST", path: place + "/rollback"))
        #expect(answers.allSatisfy { $0.status == 202 || $0.status == 200 })
        let bulk = try await awaits(stock, place, "rolled-back")
        // One unit of B is held: it can't be taken back.
        #expect(counts(bulk, "rolledBack", "notRolledBack") == [count - 1, 1])
        #expect(try stock.levels("A") == [10, 0, 10] && stock.levels("B") == [9, 1, 8])
        #expect(try stock.send("POST", place + "/rollback").status == 200)
        #expect(try stock.levels("A") == [10, 0, 10])
        let last = try stock.command("XREVRANGE", stock.prefix + "ledger:{A}", "+", "-", "COUNT", "1")
        #expect(last.contains("rollback"))
    }

    @Test func whatIsNoBulkIsNotFound() throws {
        let stock = try StockServer()
        for id in ["x", "00000000000000000000"] {
            #expect(try stock.send("GET", "/api/inventory/bulk/\(id)").status == 404)
            #expect(try stock.send("POST", "/api/inventory/bulk/\(id)/rollback").status == 404)
        }
    }
}

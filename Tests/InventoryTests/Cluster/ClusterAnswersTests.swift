import JSON
import TestSupport
import Testing

/// A cluster answers as one Redis does: the same requests to both, and the same answers but for ids and times.
struct ClusterAnswersTests {
    private let names = ClusterFixture.skus(3)

    /// What is asked, in order. `#1` is the id that the first marked answer gave, and so on.
    private func requests() -> [(StockServer.Request, isMarked: Bool)] {
        let (a, b, c) = (names[0], names[1], names[2])
        func post(_ path: String, _ body: String, _ headers: [(String, String)] = []) -> StockServer.Request {
            .init(method: "POST", path: path, body: body, headers: headers)
        }
        func put(_ path: String, _ body: String? = nil) -> StockServer.Request {
            .init(method: "PUT", path: path, body: body)
        }
        func get(_ path: String) -> StockServer.Request { .init(method: "GET", path: path) }
        func order(_ lines: [(String, Int)], _ more: String = "") -> String {
            let rows = lines.map { #"{"productId":"\#($0.0)","warehouseId":"warehouse-1","quantity":\#($0.1)}"# }
            return #"{"orderId":"o-1","lines":[\#(rows.joined(separator: ","))]\#(more)}"#
        }
        func bulk(_ mode: String, _ rows: [(String, String, Int)]) -> String {
            let rows = rows.map {
                #"{"productId":"\#($0.0)","warehouseId":"warehouse-1","type":"\#($0.1)","quantity":\#($0.2)}"#
            }
            return #"{"mode":"\#(mode)","adjustments":[\#(rows.joined(separator: ","))]}"#
        }
        var all: [(StockServer.Request, isMarked: Bool)] = []
        func ask(_ request: StockServer.Request, marked: Bool = false) { all.append((request, marked)) }
        for name in names {
            ask(post("/api/products", #"{"name":"A thing","sku":"\#(name)","minStockLevel":3}"#))
            ask(
                post(
                    "/api/inventory/\(name)/adjust", #"{"warehouseId":"warehouse-1","type":"set","quantity":20}"#))
        }
        ask(post("/api/products", #"{"name":"Again","sku":"\#(a)"}"#))
        ask(get("/api/products/\(b)"))
        // One product.
        let hold = #"{"productId":"\#(a)","warehouseId":"warehouse-1","quantity":2,"orderId":"o-1"}"#
        ask(post("/api/reservations", hold, [("Idempotency-Key", "h")]), marked: true)
        ask(post("/api/reservations", hold, [("Idempotency-Key", "h")]))
        ask(put("/api/reservations/#1/extend", #"{"expiresInMs":900000}"#))
        ask(put("/api/reservations/#1/confirm"))
        ask(put("/api/reservations/#1/cancel"))
        ask(post("/api/reservations", hold.replacing(":2,", with: ":99,")))
        ask(get("/api/inventory/\(a)"))
        // Several.
        ask(post("/api/reservations", order([(a, 3), (b, 25)])))
        ask(post("/api/reservations", order([(a, 3), ("NONE", 1)])))
        ask(
            post("/api/reservations", order([(a, 3), (b, 4), (c, 5), (a, 1)]), [("Idempotency-Key", "k")]), marked: true
        )
        ask(post("/api/reservations", order([(a, 3), (b, 4), (c, 5), (a, 1)]), [("Idempotency-Key", "k")]))
        ask(post("/api/reservations", order([(a, 3), (b, 4), (c, 6), (a, 1)]), [("Idempotency-Key", "k")]))
        ask(post("/api/reservations", order([(a, 3), (b, 4)]), [("Idempotency-Key", "k")]))
        for name in names { ask(get("/api/inventory/\(name)?warehouseId=warehouse-1")) }
        ask(get("/api/reservations/#2"))
        ask(get("/api/reservations/\(a)~#2"))
        ask(put("/api/reservations/\(a)~#2/confirm"))
        ask(put("/api/reservations/#2/extend", #"{"expiresInMs":900000}"#))
        ask(put("/api/reservations/#2/extend", #"{"expiresAt":"2020-01-01T00:00:00Z"}"#))
        let part = #"{"productId":"\#(b)","warehouseId":"warehouse-1","quantity":9}"#
        ask(put("/api/reservations/#2/confirm", #"{"lines":[\#(part)]}"#))
        ask(put("/api/reservations/#2/confirm", #"{"lines":[\#(part.replacing(":9", with: ":2"))]}"#))
        ask(put("/api/reservations/#2/confirm"))
        ask(put("/api/reservations/#2/cancel"))
        ask(post("/api/reservations", order([(c, 1), (a, 1)], #","priority":5"#)), marked: true)
        ask(put("/api/reservations/#3/cancel"))
        ask(put("/api/reservations/#3/cancel"))
        ask(put("/api/reservations/#3/confirm"))
        ask(put("/api/reservations/#3/extend", #"{"expiresInMs":1000}"#))
        ask(post("/api/reservations", order([(c, 1), (b, 1)], #","expiresInMs":7200000"#)), marked: true)
        ask(put("/api/reservations/#4/confirm", #"{"lines":[]}"#))
        ask(get("/api/reservations?orderId=o-2"))
        ask(get("/api/reservations/order~00000000000000000000"))
        ask(put("/api/reservations/order~00000000000000000000/confirm"))
        // Refused under a key, then judged anew under the same one.
        ask(post("/api/reservations", order([(a, 1), (b, 500)]), [("Idempotency-Key", "later")]))
        ask(post("/api/inventory/\(b)/adjust", #"{"warehouseId":"warehouse-1","type":"add","quantity":490}"#))
        ask(post("/api/reservations", order([(a, 1), (b, 500)]), [("Idempotency-Key", "later")]), marked: true)
        ask(put("/api/reservations/#5/cancel"))
        // Many adjustments.
        ask(post("/api/inventory/bulk-adjust", bulk("partial", [(a, "add", 5), (b, "subtract", 9999), (c, "set", 9)])))
        ask(post("/api/inventory/bulk-adjust", bulk("atomic", [(a, "add", 5), (b, "subtract", 9999), (c, "set", 8)])))
        ask(post("/api/inventory/bulk-adjust", bulk("atomic", [(a, "add", 5), ("NONE", "add", 1)])))
        let rows = bulk("atomic", [(a, "add", 5), (b, "subtract", 9), (c, "set", 8), (a, "subtract", 1)])
        ask(post("/api/inventory/bulk-adjust", rows, [("Idempotency-Key", "b")]), marked: true)
        ask(post("/api/inventory/bulk-adjust", rows, [("Idempotency-Key", "b")]))
        ask(post("/api/inventory/bulk-adjust", bulk("atomic", [(a, "add", 7)]), [("Idempotency-Key", "b")]))
        for name in names { ask(get("/api/inventory/\(name)?warehouseId=warehouse-1")) }
        // Transfers, alerts, ledger, counts.
        let move = #"{"productId":"\#(b)","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":4}"#
        ask(post("/api/transfers", move), marked: true)
        for word in ["ship", "receive", "cancel"] { ask(put("/api/transfers/#7/\(word)")) }
        ask(get("/api/transfers"))
        ask(post("/api/inventory/\(c)/adjust", #"{"warehouseId":"warehouse-1","type":"set","quantity":2}"#))
        ask(post("/api/counts", #"{"productId":"\#(c)","warehouseId":"warehouse-1","counted":1}"#))
        // Where an order was refused, a cluster's ledger tells that it was tried.
        ask(get("/api/inventory/\(c)/ledger"))
        ask(get("/api/products"))
        ask(get("/api/warehouses"))
        ask(post("/api/inventory/reconcile", "{}"))
        return all
    }

    private func answers(_ stock: StockServer) throws -> [String] {
        var ids: [String] = []
        return try requests().map { request, isMarked in
            var request = request
            for (i, id) in ids.enumerated() {
                // Of an order, what its lines are called by.
                let suffix = id.split(separator: "~").last.map(String.init) ?? id
                request.path = request.path.replacing("~#\(i + 1)", with: "~\(suffix)")
                request.path = request.path.replacing("#\(i + 1)", with: id)
            }
            let answer = try stock.atOnce([request])[0]
            if isMarked { ids.append(answer.json?["id"]?.text ?? "none") }
            return "\(request.method) \(request.path): \(answer.status) \(answer.text)"
        }
    }

    @Test func equalThoseOfOneRedis() throws {
        let cluster = try StockServer(try ClusterFixture.shared)
        let one = try StockServer()
        let (many, single) = (
            ClusterAnswersTests.plain(try answers(cluster)), ClusterAnswersTests.plain(try answers(one))
        )
        for (many, single) in zip(many, single) { #expect(many == single) }
        #expect(many.allSatisfy { !$0.contains(": 500 ") && !$0.contains("CROSSSLOT") })
        // Alerts are told behind the answers.
        for stock in [cluster, one] {
            #expect(
                try blockingUntil {
                    let alerts = try stock.send("GET", "/api/alerts/low-stock")
                    return alerts.text.contains(names[2])
                })
        }
    }

    /// With ids and times by the order in which they come.
    private static func plain(_ answers: [String]) -> [String] {
        let pattern =
            #/[0-9]{4}-[0-9-]+T[0-9:.]+Z|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]+|[0-9a-f]{20}|[0-9]{13}-[0-9]+/#
        var known: [Substring: Int] = [:]
        return answers.map { answer in
            answer.replacing(pattern) { match in
                if match.output.contains("T") { return "<time>" }
                let number = known[match.output] ?? known.count
                known[match.output] = number
                return "<\(number)>"
            }
        }
    }
}

import JSON
import Redis
import TestSupport
import Testing

@testable import Inventory

/// What is asked while a slot is moved from one node to another.
struct MovingSlotTests {
    private static let cluster = Result { try RedisCluster(masters: 3, replicas: 0) }
    /// Of the three masters in turn. Each test moves slots of its own.
    private static let skus = ClusterFixture.skus(30)

    private let cluster: RedisCluster

    init() throws { cluster = try MovingSlotTests.cluster.get() }

    private func shop(_ skus: [String], replicas: Int = 1) throws -> StockServer {
        let stock = try StockServer(cluster, replicas: replicas)
        for sku in skus {
            try stock.product(sku, #","minStockLevel":0"#)
            try stock.set(sku, 1000)
        }
        return stock
    }

    private func order(_ skus: [String], _ quantity: Int) -> StockServer.Request {
        let rows = skus.map { #"{"productId":"\#($0)","warehouseId":"warehouse-1","quantity":\#(quantity)}"# }
        return .init(method: "POST", path: "/api/reservations", body: #"{"lines":[\#(rows.joined(separator: ","))]}"#)
    }

    /// What is in a slot on a node: values and ends.
    private func contents(ofSlot slot: Int, on node: RedisServer) throws -> [String: String] {
        let connection = try node.connect()
        var all: [String: String] = [:]
        for key in try cluster.keys(ofSlot: slot, on: node) {
            // A node that imports the slot answers for it only then.
            _ = try connection("ASKING")
            let value = try connection("DUMP", key)
            _ = try connection("ASKING")
            all[key] = "\(value) \(try connection("PEXPIRETIME", key).text)"
        }
        return all
    }

    // MARK: Scripts

    private struct Call {
        let script: Script
        let keys: [String]
        let arguments: [String]
        /// Whether it touches no key but these.
        var namesAll = false
    }

    /// Every script, at each stage of its slot's move, at both nodes: whole or not at all.
    @Test func everyScriptActsWholeOrNotAtAll() throws {
        let sku = MovingSlotTests.skus[0]
        let stock = try shop([sku])
        let hold = try stock.hold(sku, 2).split(separator: "~")[1]
        let transfer =
            #"{"productId":"\#(sku)","fromWarehouseId":"warehouse-1","toWarehouseId":"warehouse-2","quantity":4}"#
        #expect(try stock.send("POST", "/api/transfers", transfer).status == 201)
        stock.servers[0].stop()
        let keys = StockKeys(prefix: stock.prefix)
        let name = SKU(sku)!
        let (own, bulk, order) = ([keys.stock(name), keys.whole(name)], "0123456789abcdef0123", "3210fedcba9876543210")
        let operations = [
            #"{"op":"reserve","id":"n","want":[{"from":["warehouse-1"],"n":1}],"holdMs":9000000,"actor":""}"#,
            #"{"op":"confirm","id":"\#(hold)","actor":""}"#, #"{"op":"cancel","id":"\#(hold)","actor":""}"#,
            #"{"op":"extend","id":"\#(hold)","holdMs":99000,"actor":""}"#, #"{"op":"show","id":"\#(hold)"}"#,
            #"{"op":"adjust","id":"a","w":"warehouse-1","type":"add","n":3,"actor":""}"#,
            #"{"op":"transfer","id":"t","from":"warehouse-1","to":"warehouse-2","n":3,"actor":""}"#,
            #"{"op":"void","id":"v","set":"order~v","step":3,"status":"void","actor":""}"#,
        ]
        var calls: [Call] = []
        for script in [InventoryScripts.commit, InventoryScripts.drain] {
            calls += operations.map { Call(script: script, keys: own, arguments: ["", "fence", $0]) }
        }
        calls.append(Call(script: InventoryScripts.bulk, keys: own, arguments: ["", "1", operations[5]]))
        calls.append(
            Call(
                script: InventoryScripts.product, keys: [keys.product(name)] + own,
                arguments: ["update", "", "", "name", "Another"]))
        calls.append(
            Call(
                script: InventoryScripts.alert, keys: [keys.alert(name, warehouse: "warehouse-1")],
                arguments: ["acknowledge", "", "", "me"], namesAll: true))
        try move(calls, stock.prefix)
        let event = #"{"id":"e","event":"low-stock"}"#
        try move(
            [
                Call(
                    script: InventoryScripts.publish, keys: [keys.events, keys.told, keys.alerts, keys.escalations],
                    arguments: [event, "e", "1700000000000", "\(sku)~warehouse-1", ""], namesAll: true)
            ], stock.prefix)
        let due = [keys.due(part: 3), keys.duringSweep(part: 3), keys.guardOf(keys.due(part: 3))]
        try cluster.redis("ZADD", due[0], "5", "X")
        try cluster.redis("ZADD", due[1], "5", "Y")
        try move([Call(script: InventoryScripts.due, keys: due, arguments: ["", "1000", "9"])], stock.prefix)
        let bulks = [keys.bulk(bulk), keys.bulkRows(bulk), keys.bulkChanges(bulk), keys.bulkErrors(bulk)]
        try cluster.redis("HSET", bulks[1], "0", "[]")
        try move(
            [
                Call(
                    script: InventoryScripts.bulkStep, keys: bulks,
                    arguments: ["", "open", "status", "running", "place", "0"], namesAll: true)
            ], stock.prefix)
        try move(
            [
                Call(
                    script: InventoryScripts.orderStep, keys: [keys.orderReservation(order)],
                    arguments: ["", "move", "0", "holding", "skus", sku], namesAll: true),
                Call(
                    script: InventoryScripts.orderStepDrain, keys: [keys.orderReservation(order)],
                    arguments: ["", "look"], namesAll: true),
            ], stock.prefix)
        try move(
            [
                Call(
                    script: InventoryScripts.warehouse, keys: [keys.warehouses],
                    arguments: ["create", keys.warehouseChannel, "w", #"{"version":1}"#], namesAll: true)
            ], stock.prefix)
    }

    /// Moves the slot of calls key by key, and makes all of them in between.
    private func move(_ calls: [Call], _ prefix: String) throws {
        let slot = try cluster.slot(of: calls[0].keys[0])
        let source = try cluster.owner(ofSlot: slot)
        let target = cluster.masters.first { $0 !== source }!
        try cluster.beginMove(ofSlot: slot, to: target)
        var stage = 0
        repeat {
            for call in calls {
                let context = "\(call.script.name) \(call.arguments.last ?? "") at stage \(stage)"
                let reply = try check(call, slot, source, other: target, context)
                // As a client does that is told to.
                if reply.hasPrefix("ASK ") { _ = try check(call, slot, target, other: source, context + ", there") }
            }
            stage += 1
        } while try cluster.moveKeys(ofSlot: slot, to: target, most: 1) > 0
        try cluster.endMove(ofSlot: slot, to: target)
    }

    /// - Returns: the error, if it was one.
    private func check(
        _ call: Call, _ slot: Int, _ node: RedisServer, other: RedisServer, _ context: String
    ) throws -> String {
        let before = (try contents(ofSlot: slot, on: node), try contents(ofSlot: slot, on: other))
        let connection = try node.connect()
        _ = try connection("ASKING")
        let text = String(decoding: call.script.source, as: UTF8.self)
        let words = ["EVAL", text, String(call.keys.count)] + call.keys + call.arguments
        let reply = try connection.exchange(words)
        let after = (try contents(ofSlot: slot, on: node), try contents(ofSlot: slot, on: other))
        #expect(before.1 == after.1, "\(context): the other node's")
        if case .error(let message) = reply {
            #expect(before.0 == after.0, "\(context): \(message)")
            #expect(["TRYAGAIN", "ASK"].contains(message.prefix { $0 != " " }), "\(context): \(message)")
            return message
        }
        // Then all that it touches is here.
        #expect(call.namesAll, "\(context) was run on a part of the SKU")
        #expect(call.keys.allSatisfy { after.1[$0] == nil }, "\(context)")
        return ""
    }

    // MARK: The service

    @Test func requestsWaitForTheSlot() throws {
        let skus = Array(MovingSlotTests.skus[3..<6])
        let stock = try shop(skus)
        let (confirmed, cancelled) = (try stock.hold(skus[0], 2), try stock.hold(skus[0], 3))
        let whole = try #require(try stock.atOnce([order(skus, 5)])[0].json?["id"]?.text)
        let slot = try cluster.slot(of: "{\(skus[0])}")
        let target = cluster.masters.first { $0 !== (try? cluster.owner(ofSlot: slot)) }!
        try cluster.beginMove(ofSlot: slot, to: target)
        try cluster.moveKeys(ofSlot: slot, to: target, most: 3)
        let adjustment = #"{"warehouseId":"warehouse-1","type":"add","quantity":7}"#
        let requests: [StockServer.Request] = [
            StockServer.reservation(skus[0], 1), order(skus, 1),
            .init(method: "PUT", path: "/api/reservations/\(confirmed)/confirm"),
            .init(method: "PUT", path: "/api/reservations/\(cancelled)/cancel"),
            .init(method: "PUT", path: "/api/reservations/\(whole)/confirm"),
            .init(method: "POST", path: "/api/inventory/\(skus[0])/adjust", body: adjustment),
            .init(method: "GET", path: "/api/inventory/\(skus[0])"),
        ]
        let waiting = try requests.map { request in
            let connection = try stock.servers[0].connect()
            try connection.send([HTTPConnection.encode(request.method, request.path, body: request.body)])
            return connection
        }
        // Other slots go on meanwhile.
        #expect(try stock.reserve(skus[1], 1).status == 201)
        try cluster.moveKeys(ofSlot: slot, to: target)
        try cluster.endMove(ofSlot: slot, to: target)
        for (request, connection) in zip(requests, waiting) {
            let answer = try connection.receive()
            #expect([200, 201].contains(answer.status), "\(request.path): \(answer.status) \(answer.text)")
        }
        #expect(try stock.levels(skus[0]) == [1000 - 2 - 5 + 7, 1 + 1, 1000 - 2])
        #expect(try stock.send("POST", "/api/inventory/reconcile", "{}").text.contains(#""drifts":0"#))
    }

    /// A slot that stays on the move for longer than a request may wait.
    @Test func oneSlotAloneIsUnavailable() throws {
        let skus = Array(MovingSlotTests.skus[6..<9])
        let stock = try shop(skus)
        let hold = try stock.hold(skus[0], 2)
        let slot = try cluster.slot(of: "{\(skus[0])}")
        let source = try cluster.owner(ofSlot: slot)
        let target = cluster.masters.first { $0 !== source }!
        try cluster.beginMove(ofSlot: slot, to: target)
        try cluster.moveKeys(ofSlot: slot, to: target, most: 2)
        let before = (try contents(ofSlot: slot, on: source), try contents(ofSlot: slot, on: target))
        let requests: [StockServer.Request] = [
            StockServer.reservation(skus[0], 1), order(Array(skus.reversed()), 1),
            .init(method: "PUT", path: "/api/reservations/\(hold)/confirm"),
        ]
        let waiting = try requests.map { request in
            let connection = try stock.servers[0].connect()
            try connection.send([HTTPConnection.encode(request.method, request.path, body: request.body)])
            return connection
        }
        for _ in 0..<20 { #expect(try stock.reserve(skus[1], 1).status == 201) }
        for (request, connection) in zip(requests, waiting) {
            let answer = try connection.receive()
            #expect(answer.status == 503, "\(request.path): \(answer.status) \(answer.text)")
            #expect(answer.header("Retry-After") != nil && !answer.text.contains("TRYAGAIN"), "\(answer.text)")
        }
        let after = (try contents(ofSlot: slot, on: source), try contents(ofSlot: slot, on: target))
        #expect(before.0 == after.0 && before.1 == after.1)
        try cluster.moveKeys(ofSlot: slot, to: target)
        try cluster.endMove(ofSlot: slot, to: target)
        // What the order held elsewhere is given back by now, or soon.
        #expect(
            try blockingUntil {
                try stock.levels(skus[1]) == [1000, 20, 980] && stock.levels(skus[2]) == [1000, 0, 1000]
            })
        #expect(try stock.send("PUT", "/api/reservations/\(hold)/confirm").status == 200)
        #expect(try stock.send("POST", "/api/inventory/reconcile", "{}").text.contains(#""drifts":0"#))
    }

    /// Slots go to and fro under two replicas.
    @Test func nothingIsLostOnTheWay() async throws {
        let skus = Array(MovingSlotTests.skus[9..<12])
        let stock = try shop(skus, replicas: 2)
        let slots = try skus.map { try cluster.slot(of: "{\($0)}") }
        let mover = Task.detached { [cluster] in
            for round in 0..<12 {
                let slot = slots[round % 3]
                let owner = try cluster.owner(ofSlot: slot)
                try cluster.move(slot: slot, to: cluster.masters.first { $0 !== owner }!)
            }
        }
        var held = [0, 0, 0]
        for round in 0..<12 {
            let requests = (0..<40).map { $0 % 8 == 7 ? order(skus, 1) : StockServer.reservation(skus[$0 % 3], 1) }
            for (i, answer) in try stock.atOnce(requests).enumerated() {
                #expect(answer.status == 201, "in round \(round): \(answer.status) \(answer.text)")
                for place in 0..<3 where i % 8 == 7 || i % 3 == place { held[place] += 1 }
            }
        }
        try await mover.value
        #expect(
            try await eventually {
                try zip(skus, held).allSatisfy { try stock.levels($0) == [1000, $1, 1000 - $1] }
            })
        #expect(try stock.send("POST", "/api/inventory/reconcile", "{}").text.contains(#""drifts":0"#))
    }
}

import Bytes
import TestSupport
import Testing

@testable import Inventory

/// Random steps and clock steps against a model in plain Swift, through transactions and through scripts alone.
struct StockModelTests {
    @Test(arguments: [false, true], [false, true])
    func equalsTheModel(byScripts: Bool, onACluster: Bool) async throws {
        var random = SeededRandom()
        for _ in 0..<(onACluster ? 1 : 3) {
            let trial = try await LanesTrial(
                byScripts: byScripts, on: onACluster ? try ClusterFixture.shared : nil)
            var model = StockModel()
            var journal: [String] = []
            for _ in 0..<400 {
                if random.oneIn(4) { model.nowMs += random.pick([1, 50, 400, 2000]) }
                let operation = StockModelTests.operation(&random, model)
                let expected = model.perform(operation)
                journal.append("\(model.nowMs) \(operation): \(expected)")
                let answer = try await trial.perform(operation, nowMs: model.nowMs)
                let context = "seed \(random.seed)\n" + journal.suffix(12).joined(separator: "\n")
                try #require(answer == expected, "\(answer) instead of \(expected), \(context)")
                let state = try trial.state(like: model)
                try #require(state == LanesTrial.state(of: model), "\(context)")
            }
            let (all, replayed) = try trial.ledgerTotals()
            let counters = model.counters.mapValues { [$0.quantity, $0.reserved, $0.inTransit] }
            #expect(all == counters && replayed == counters, "seed \(random.seed)")
            #expect(try await (trial.steps() > 0) == !byScripts)
        }
    }

    /// Replay begins at the last checkpoint, which is written with every 10,000th change.
    @Test(arguments: [false, true]) func checkpoints(_ byScripts: Bool) async throws {
        let trial = try await LanesTrial(byScripts: byScripts)
        var model = StockModel()
        let add = StockModel.Operation.adjust(id: "a", warehouse: "warehouse-1", .add, 1000, expected: nil)
        _ = try await trial.perform(add, nowMs: model.nowMs)
        _ = model.perform(add)
        try trial.command("HSET", trial.prefix + "stock:{A}", "version", "9997")
        for i in 0..<6 {
            var step = ReserveStep(suffix: "r\(i)", wants: [.init(from: ["warehouse-1"], quantity: i + 1)])
            step.actor = "test"
            #expect(try await trial.perform(.reserve(step), nowMs: model.nowMs) == model.perform(.reserve(step)))
        }
        let entries = try trial.command("XRANGE", trial.prefix + "ledger:{A}", "-", "+").elements
        #expect(entries.count == 8)
        let (all, replayed) = try trial.ledgerTotals()
        #expect(all == ["warehouse-1": [1000, 21, 0]] && replayed == all)
        #expect(entries.map { $0.elements[1].elements[1].text }.count { $0 == "checkpoint" } == 1)
    }

    /// More holds than one call releases lapse at once, and all of their stock is there for the next one.
    @Test(arguments: [false, true]) func manyLapseAtOnce(_ byScripts: Bool) async throws {
        let trial = try await LanesTrial(byScripts: byScripts)
        let nowMs = 1_700_000_000_000
        let add = StockModel.Operation.adjust(id: "a", warehouse: "warehouse-1", .add, 1200, expected: nil)
        _ = try await trial.perform(add, nowMs: nowMs)
        for i in 0..<1200 {
            var step = ReserveStep(suffix: "r\(i)", wants: [.init(from: ["warehouse-1"], quantity: 1)])
            step.end = .after(1000)
            #expect(try await trial.perform(.reserve(step), nowMs: nowMs).hasPrefix("held"))
        }
        let all = ReserveStep(suffix: "all", wants: [.init(from: ["warehouse-1"], quantity: 1200)])
        #expect(try await trial.perform(.reserve(all), nowMs: nowMs + 999) == "short 0")
        #expect(try await trial.perform(.reserve(all), nowMs: nowMs + 1000) == "held warehouse-1:1200")
        #expect(try trial.ledgerTotals().all == ["warehouse-1": [1200, 1200, 0]])
    }

    private static func operation(_ random: inout SeededRandom, _ model: StockModel) -> StockModel.Operation {
        let warehouses = ["warehouse-1", "warehouse-2", "warehouse-3"]
        func id(_ known: some Collection<String>, _ random: inout SeededRandom) -> String {
            if !known.isEmpty, !random.oneIn(5) { return random.pick(known.sorted()) }
            return "x\(random.int(0...999_999))"
        }
        switch random.int(1...20) {
        case 1...8: return .reserve(reservation(&random, model))
        case 9...10:
            var step = HoldStep(suffix: id(model.holds.keys, &random))
            if random.oneIn(4) { step.quantity = random.int(1...6) }
            return .confirm(step)
        case 11...12: return .cancel(HoldStep(suffix: id(model.holds.keys, &random)))
        case 13:
            if random.oneIn(2) { return .extend(id(model.holds.keys, &random), ms: random.int(1...3000)) }
            let kept = random.oneIn(2) ? ["warehouse-1": 200] : [:]
            return .resize(id(model.holds.keys, &random), random.int(1...9), kept: kept)
        case 14...17:
            let expected = random.oneIn(4) ? model.counters["warehouse-1"]?.quantity ?? 0 : nil
            let known = random.oneIn(8) ? Array(model.adjusted.keys) : []
            return .adjust(
                id: id(known, &random), warehouse: random.pick(warehouses), random.pick([.add, .add, .subtract, .set]),
                random.int(1...40), expected: expected, force: random.oneIn(6))
        case 18:
            let from = random.pick(warehouses)
            return .transfer(
                id: random.oneIn(6) ? id(model.transfers.keys, &random) : "t\(random.int(0...999_999))", from: from,
                to: random.pick(warehouses.filter { $0 != from }), random.int(1...8))
        default:
            return .move(
                id: id(model.transfers.keys, &random), random.pick([.inTransit, .received, .cancelled]),
                random.oneIn(4) ? random.int(0...9) : nil)
        }
    }

    private static func reservation(_ random: inout SeededRandom, _ model: StockModel) -> ReserveStep {
        let warehouses = ["warehouse-1", "warehouse-2", "warehouse-3"]
        var step = ReserveStep(suffix: "h\(random.int(0...999_999))", wants: [])
        if random.oneIn(10), let known = model.holds.keys.sorted().randomElement(using: &random) {
            step.suffix = known
            step.request = "r"
        }
        let from = random.oneIn(2) ? [random.pick(warehouses)] : warehouses
        step.wants = [.init(from: from, quantity: random.int(1...7), split: from.count > 1 && random.oneIn(2))]
        if random.oneIn(6) { step.wants.append(.init(from: [random.pick(warehouses)], quantity: random.int(1...3))) }
        step.end = random.oneIn(12) ? .at(model.nowMs - random.int(0...5)) : .after(random.int(1...4000))
        step.priority = random.oneIn(4) ? random.int(1...3) : 0
        if step.priority == 0, random.oneIn(2) {
            step.kept = [random.pick(warehouses): random.pick([37, 150, 333, 500])]
        }
        step.waitsForStock = random.oneIn(4)
        if step.waitsForStock {
            if random.oneIn(2) { step.waitMs = random.int(1...3000) }
        } else if random.oneIn(6) {
            let open = model.holds.filter { $0.value.status == .active || $0.value.status == .waiting }.keys.sorted()
            let known = random.oneIn(4) ? model.holds.keys.sorted() : open
            step.replaces = Array(Set((0..<random.int(1...2)).compactMap { _ in known.randomElement(using: &random) }))
                .sorted()
            if step.replaces.contains(step.suffix) { step.replaces = [] }
        }
        if random.oneIn(10) { step.end = .at(model.nowMs + random.pick([500, 5000, 31 * 86_400_000])) }
        step.orderID = random.oneIn(3) ? "o" : nil
        step.actor = "test"
        return step
    }
}

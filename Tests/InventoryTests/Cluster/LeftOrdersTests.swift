import TestSupport
import Testing

@testable import Inventory

/// An order over three slots whose process dies, at every step: another process finishes it or undoes it.
struct LeftOrdersTests {
    private static let skus = ClusterFixture.skus(3)

    private struct Trial {
        let cluster: RedisCluster
        let prefix: String
        let dying: OrdersTrial
        let other: OrdersTrial

        init() async throws {
            cluster = try ClusterFixture.shared
            prefix = cluster.masters[0].prefix()
            dying = try await OrdersTrial(cluster, prefix: prefix)
            other = try await OrdersTrial(cluster, prefix: prefix)
            try dying.stock(LeftOrdersTests.skus, 1000)
        }
    }

    private static func reserve(_ quantity: Int, last: Int? = nil) -> OrderStep {
        .reserve(
            OrderReserve(
                lines: skus.indices.map {
                    let n = $0 == 2 ? last ?? quantity : quantity
                    return .init(wants: [.init(from: ["warehouse-1"], quantity: n)], kept: [:])
                }, end: .after(3_600_000)))
    }

    private static func id(_ number: Int) -> String { String(repeating: "0", count: 16) + String(1000 + number) }

    /// What became of all lines, which must be the same of all.
    private func lines(_ trial: OrdersTrial, _ id: String) throws -> Set<String> {
        Set(try LeftOrdersTests.skus.map { try trial.line($0, id) })
    }

    /// Dies after 0, 1, 2 … effects of a step, until it lives to its end.
    private func eachDeath(_ body: (Int) async throws -> Bool) async throws {
        var effects = 0
        while try await body(effects) { effects += 1 }
        #expect(effects >= 4, "so few effects are no order over three slots: \(effects)")
    }

    @Test func whileItIsMade() async throws {
        let trial = try await Trial()
        var reserved = 0
        try await eachDeath { effects in
            let id = LeftOrdersTests.id(effects)
            let answer = try await trial.dying.perform(
                LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus, dyingAfter: effects)
            try await trial.other.lookAfter(inMs: 10_000)
            if answer == "dead", try trial.other.state(id) != "held" {
                // Nobody was told of it.
                #expect(["", "refused"].contains(try trial.other.state(id)), "after \(effects)")
                let all = try lines(trial.other, id)
                #expect(all.isSubset(of: ["1000 \(reserved) void", "1000 \(reserved) "]), "after \(effects): \(all)")
                #expect(try await trial.other.perform(.show, id, LeftOrdersTests.skus) == "missing")
                #expect(try await trial.other.perform(.confirm(parts: nil), id, LeftOrdersTests.skus) == "missing")
                // As if it had never been asked for: it can be asked for again.
                let again = try await trial.other.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus)
                #expect(again == "held", "after \(effects)")
            }
            reserved += 3
            #expect(try lines(trial.other, id) == ["1000 \(reserved) active"], "after \(effects)")
            return answer == "dead"
        }
        try await trial.other.lookAfter(inMs: 20_000)
        #expect(try await trial.other.open() == [])
    }

    /// The last line can't be had, so what was held before it is given back.
    @Test func whileItIsUndone() async throws {
        let trial = try await Trial()
        try await eachDeath { effects in
            let id = LeftOrdersTests.id(effects)
            let answer = try await trial.dying.perform(
                LeftOrdersTests.reserve(3, last: 1001), id, LeftOrdersTests.skus, dyingAfter: effects)
            if answer != "dead" { #expect(answer == "short 2 1000") }
            try await trial.other.lookAfter(inMs: 10_000)
            #expect(["", "refused"].contains(try trial.other.state(id)), "after \(effects)")
            let all = try lines(trial.other, id)
            #expect(all.isSubset(of: ["1000 0 void", "1000 0 "]), "after \(effects): \(all)")
            return answer == "dead"
        }
        try await trial.other.lookAfter(inMs: 20_000)
        #expect(try await trial.other.open() == [])
    }

    @Test(arguments: ["confirm", "cancel", "extend"]) func whileItIs(_ word: String) async throws {
        let trial = try await Trial()
        let step: OrderStep =
            switch word {
            case "confirm": .confirm(parts: nil)
            case "cancel": .cancel
            default: .extend(.after(7_200_000))
            }
        var (quantity, reserved) = (1000, 0)
        try await eachDeath { effects in
            let id = LeftOrdersTests.id(effects)
            let made = try await trial.other.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus)
            try #require(made == "held")
            let answer = try await trial.dying.perform(step, id, LeftOrdersTests.skus, dyingAfter: effects)
            try await trial.other.lookAfter(inMs: 10_000)
            let status: String
            switch (word, try trial.other.state(id)) {
            case ("confirm", "confirmed"):
                quantity -= 3
                status = "confirmed"
            case ("cancel", "cancelled"): status = "cancelled"
            case (_, "held"):
                reserved += 3
                status = "active"
            case (_, let state):
                Issue.record("after \(effects) it is \(state)")
                return false
            }
            #expect(try lines(trial.other, id) == ["\(quantity) \(reserved) \(status)"], "after \(effects)")
            // Whoever asks for it again is answered as if nothing had happened.
            let again = try await trial.other.perform(step, id, LeftOrdersTests.skus)
            if word == "confirm", status == "active" {
                quantity -= 3
                reserved -= 3
            }
            if word == "cancel", status == "active" { reserved -= 3 }
            let end = word == "confirm" ? "confirmed" : word == "cancel" ? "cancelled" : "active"
            #expect(again == (status == "active" ? "done \(end)" : "same \(end)"), "after \(effects)")
            #expect(try lines(trial.other, id) == ["\(quantity) \(reserved) \(end)"], "after \(effects)")
            return answer == "dead"
        }
        try await trial.other.lookAfter(inMs: 20_000)
        #expect(try await trial.other.open() == [])
    }

    /// Two processes at one order at the same time do no more than one.
    @Test func severalAtOnce() async throws {
        let trial = try await Trial()
        for round in 0..<10 {
            let id = LeftOrdersTests.id(round)
            async let one = trial.dying.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus)
            async let two = trial.other.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus)
            let made = try await [one, two]
            #expect(made.allSatisfy { $0 == "held" || $0 == "existing" }, "\(made)")
            async let three = trial.dying.perform(.confirm(parts: nil), id, LeftOrdersTests.skus)
            async let four = trial.other.perform(
                round % 2 == 0 ? .confirm(parts: nil) : .cancel, id, LeftOrdersTests.skus)
            let ended = try await [three, four]
            #expect(ended.contains { $0.hasPrefix("done") || $0.hasPrefix("same") }, "\(ended)")
            #expect(try lines(trial.other, id).count == 1)
        }
        let rest = Set(try LeftOrdersTests.skus.map { try trial.other.line($0, "").split(separator: " ")[1] })
        #expect(rest == ["0"])
    }

    /// Whoever comes late, after the order was given up, finds its line taken.
    @Test func aLateLineIsNotHeld() async throws {
        let trial = try await Trial()
        let id = LeftOrdersTests.id(0)
        // Announced, opened, one line held.
        _ = try await trial.dying.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus, dyingAfter: 3)
        #expect(try trial.other.state(id) == "holding")
        #expect(try trial.other.line(LeftOrdersTests.skus[0], id) == "1000 3 active")
        try await trial.other.lookAfter(inMs: 10_000)
        let reply = try await trial.dying.line(
            operation: #"{"op":"reserve","id":"\#(id)","set":"order~\#(id)","step":1,"expires":9999999999999,"#
                + #""want":[{"from":["warehouse-1"],"n":3,"split":false}],"actor":"late"}"#, LeftOrdersTests.skus[1])
        #expect(reply == "late")
        #expect(try lines(trial.other, id) == ["1000 0 void"])
    }

    /// What was announced may be taken, and found at rest, before the step is taken that it was announced for: then that step
    /// must not be taken, for nobody would look after it.
    @Test func nothingBeginsUnannounced() async throws {
        let trial = try await Trial()
        let (id, other) = (LeftOrdersTests.id(0), LeftOrdersTests.id(1))
        let looking = trial.other
        #expect(try await trial.dying.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus) == "held")
        #expect(
            try await !trial.dying.moves(id, to: .confirming) { try await looking.lookAfter(inMs: 10_000) })
        #expect(try trial.other.state(id) == "held")
        #expect(
            try await !trial.dying.moves(other, to: .holding) { try await looking.lookAfter(inMs: 10_000) })
        #expect(try await trial.dying.perform(LeftOrdersTests.reserve(3), other, LeftOrdersTests.skus) == "held")
        #expect(try await trial.dying.moves(id, to: .confirming) {})
        try await looking.lookAfter(inMs: 20_000)
        #expect(try lines(trial.other, id) == ["997 3 confirmed"])
    }

    /// A node fails over that had not yet told its replica what was done last to a line.
    @Test func whatAFailoverLostIsDoneAgain() async throws {
        let trial = try await Trial()
        let (id, last) = (LeftOrdersTests.id(0), LeftOrdersTests.skus[2])
        #expect(try await trial.other.perform(LeftOrdersTests.reserve(3), id, LeftOrdersTests.skus) == "held")
        let keys = ["stock:{\(last)}", "expiry:{\(last)}", "ledger:{\(last)}", "reservation:{\(last)}:\(id)"]
        for key in keys { try trial.cluster.redis("COPY", trial.prefix + key, trial.prefix + "kept:" + key) }
        #expect(try await trial.other.perform(.confirm(parts: nil), id, LeftOrdersTests.skus) == "done confirmed")
        for key in keys {
            try trial.cluster.redis("COPY", trial.prefix + "kept:" + key, trial.prefix + key, "REPLACE")
        }
        #expect(try trial.other.line(last, id) == "1000 3 active")
        #expect(try await trial.other.perform(.show, id, LeftOrdersTests.skus) == "done confirmed")
        #expect(try lines(trial.other, id) == ["997 0 confirmed"])
    }
}

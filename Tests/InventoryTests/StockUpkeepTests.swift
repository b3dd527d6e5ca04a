import TestSupport
import Testing

@testable import Inventory

/// What is due is done by whoever lives, and nobody asks for what is not due.
struct StockUpkeepTests {
    /// A process that has taken a SKU and died with it delays its holds by a moment, not by half a minute.
    @Test func whatADeadProcessHasTaken() async throws {
        let trial = try await LanesTrial(byScripts: false)
        let nowMs = 1_700_000_000_000
        _ = try await trial.perform(
            .adjust(id: "a", warehouse: "warehouse-1", .add, 100, expected: nil), nowMs: nowMs)
        var step = ReserveStep(suffix: "r", wants: [.init(from: ["warehouse-1"], quantity: 1)])
        step.end = .after(1000)
        _ = try await trial.perform(.reserve(step), nowMs: nowMs)
        #expect(try await trial.takeDue(nowMs: nowMs + 1000) == ["A"])
        func status() throws -> String { try trial.command("HGET", trial.prefix + "reservation:{A}:r", "status").text }
        try await trial.round(nowMs: nowMs + 1001)
        #expect(try status() == "active")
        try await trial.round(nowMs: nowMs + 4000)
        #expect(try status() == "expired")
        #expect(StockUpkeep.takenMs <= 3000)
    }

    /// An idle replica asks a few times in ten seconds.
    @Test func idleReplicasAskSeldom() async throws {
        let redis = try RedisServer()
        let stock = try StockServer(redis)
        try stock.product("A")
        try stock.set("A", 100)
        func calls() throws -> Int {
            try redis.redis("INFO", "commandstats").split(whereSeparator: \.isNewline).reduce(0) { sum, line in
                guard line.hasPrefix("cmdstat_evalsha:calls=") || line.hasPrefix("cmdstat_time:calls=") else {
                    return sum
                }
                return sum + (Int(line.drop { $0 != "=" }.dropFirst().prefix { $0 != "," }) ?? 0)
            }
        }
        // What was announced for the product is looked at after five seconds.
        try await Task.sleep(for: .seconds(7))
        let before = try calls()
        try await Task.sleep(for: .seconds(10))
        #expect(try calls() - before <= 40)
    }

    /// A hold that this replica has made is released when its time has passed, however long nothing was due before.
    @Test func whatIsKnownIsDoneInTime() async throws {
        let stock = try StockServer()
        try stock.product("A")
        try stock.set("A", 100)
        let id = try stock.hold("A", 1, #","expiresInMs":300"#)
        let key = stock.prefix + "reservation:{A}:" + id.split(separator: "~")[1]
        #expect(try await eventually { try stock.command("HGET", key, "status") == "expired" })
    }
}

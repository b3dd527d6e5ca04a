import TestSupport
import Testing

@testable import RateLimiting

/// The scripts against the models over random schedules: word, remaining, reset, retry, life and clock resets are equal.
@Suite struct RandomScheduleTests {
    /// Many subjects under one rule whose numbers change at times, on a clock that stands, runs, jumps and steps back.
    @Test(arguments: 0..<SeededRandom.strategyCount)
    func oneRule(kind: Int) async throws {
        var random = SeededRandom()
        var schedule = Schedule()
        let prefix = try RedisServer.shared.prefix()
        for number in 0..<90 {
            var now = 1_700_000_000_000_000 + random.int(0...1_000_000_000_000)
            var rule = random.rule(kind: kind)
            let keys = (0..<random.pick([1, 3, 12])).map { "\(prefix){\(number)}:\($0)" }
            var receipts = [now]
            var hints: [Int] = []
            for step in 0..<24 {
                now = random.clock(after: now, rule, hints: hints)
                if random.oneIn(12) { rule = random.changed(rule) }
                if random.oneIn(8) {
                    giveBack(&schedule, rule, random.pick(keys), now, random.pick(receipts), &random)
                    continue
                }
                var call = CheckCall(
                    [rule], nowUs: now, callerUs: random.oneIn(6) ? now + rule.scaleUs / 3 : now,
                    isPeek: random.oneIn(8), subjects: [], prefix: "l\(step)", usesComposed: random.oneIn(5))
                // The same key may stand twice.
                for _ in 0..<random.int(1...keys.count) {
                    call.subjects.append(.init(keys: [random.pick(keys)], costs: random.costs(rule)))
                }
                let reply = schedule.check(call)
                hints = reply.outcomes.map(\.retryUs).filter { $0 > 0 }
                receipts.append(now)
            }
        }
        let equal = try await schedule.run(on: .shared, seed: random.seed)
        #expect(equal > 4000)
    }

    private func giveBack(
        _ schedule: inout Schedule, _ rule: ScriptRule, _ key: String, _ now: Int, _ receipt: Int,
        _ random: inout SeededRandom
    ) {
        guard case .concurrency(_, let leaseUs) = rule else {
            schedule.refund(
                rule, key, nowUs: now, amount: random.pick([1, 2, 5, 100]), receiptUs: random.oneIn(2) ? receipt : nil)
            return
        }
        let held = schedule.store.leases(of: key)
        let lease = held.isEmpty || random.oneIn(4) ? "l0-1" : random.pick(held)
        if random.oneIn(2) {
            schedule.renew(key, lease, nowUs: now, termUs: leaseUs)
        } else {
            schedule.release(key, lease, nowUs: now)
        }
    }

    /// Several rules at once, shadow rules among them, over subjects that share keys.
    @Test func severalRules() async throws {
        var random = SeededRandom()
        var schedule = Schedule()
        let prefix = try RedisServer.shared.prefix()
        for number in 0..<150 {
            var now = 1_700_000_000_000_000 + random.int(0...1_000_000_000_000)
            var rules = (0..<random.int(1...5)).map { _ in
                random.rule(kind: random.int(0...SeededRandom.strategyCount - 1))
            }
            let enforcing = random.int(0...rules.count)
            // How many subjects share a key under a rule: some rules are global.
            let sharing = rules.map { _ in random.pick([1, 2, 100]) }
            var hints: [Int] = []
            for step in 0..<20 {
                now = random.clock(after: now, random.pick(rules), hints: hints)
                if random.oneIn(10) {
                    let i = random.int(0...rules.count - 1)
                    rules[i] = random.changed(rules[i])
                }
                var call = CheckCall(
                    rules, enforcing: enforcing, nowUs: now, isPeek: random.oneIn(8), subjects: [], prefix: "l\(step)",
                    usesComposed: true)
                for _ in 0..<random.int(1...6) {
                    let subject = random.int(0...5)
                    let keys = rules.indices.map { "\(prefix){\(number)}:\($0):\(subject / sharing[$0])" }
                    call.subjects.append(.init(keys: keys, costs: random.costs(random.pick(rules))))
                }
                hints = schedule.check(call).outcomes.map(\.retryUs).filter { $0 > 0 }
                if random.oneIn(8) {
                    let i = random.int(0...rules.count - 1)
                    giveBack(&schedule, rules[i], call.subjects[0].keys[i], now, now, &random)
                }
            }
        }
        let equal = try await schedule.run(on: .shared, seed: random.seed)
        #expect(equal > 8000)
    }

    /// However requests are gathered into calls, the answers are those of the same requests one by one.
    @Test func gatheredOrOneByOne() async throws {
        let redis = try await ScriptRedis.shared
        var random = SeededRandom()
        let prefix = try RedisServer.shared.prefix()
        var gathered: [CheckCall] = []
        var single: [CheckCall] = []
        for number in 0..<150 {
            var now = 1_700_000_000_000_000 + random.int(0...1_000_000_000_000)
            let rules = (0..<random.pick([1, 1, 3])).map { _ in
                random.rule(kind: random.int(0...SeededRandom.strategyCount - 1))
            }
            let enforcing = random.int(1...rules.count)
            for step in 0..<8 {
                now = random.clock(after: now, rules[0], hints: [])
                var call = CheckCall(
                    rules, enforcing: enforcing, nowUs: now, isPeek: random.oneIn(8), subjects: [], prefix: "g\(step)")
                for i in 0..<random.int(1...6) {
                    let subject = random.int(0...3)
                    let costs = random.costs(rules[0])
                    let keys = rules.indices.map { "\(prefix){\(number)}:\($0):\(subject / ($0 + 1))" }
                    call.subjects.append(.init(keys: keys, costs: costs))
                    for (j, cost) in costs.enumerated() {
                        var one = call
                        one.prefix = "s\(step)-\(i)-\(j)"
                        one.subjects = [.init(keys: keys.map { $0 + "'" }, costs: [cost])]
                        single.append(one)
                    }
                }
                gathered.append(call)
            }
        }
        let together = try await redis.check(gathered).flatMap(\.outcomes)
        let apart = try await redis.check(single).flatMap(\.outcomes)
        #expect(together.count > 5000)
        let difference = zip(together, apart).enumerated().first { $1.0 != $1.1 }
        #expect(difference == nil && together.count == apart.count, "QM_SEED=\(random.seed)")
    }
}

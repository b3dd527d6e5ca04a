import Redis
import TestSupport
import Testing

@testable import RateLimiting

/// Steps for the scripts with what the models say to each: made without asking Redis, then run in one go.
struct Schedule {
    private enum Expectation {
        case check(CheckCall, CheckReply)
        /// A refund's word and what remains.
        case refund(String, Int)
        /// A lease script's word.
        case lease(String)
    }

    private(set) var store = ModelStore()
    private(set) var steps: [RedisStep] = []
    private var expectations: [Expectation] = []

    @discardableResult
    mutating func check(_ call: CheckCall) -> CheckReply {
        let expected = store.check(call)
        steps.append(call.step)
        expectations.append(.check(call, expected))
        return expected
    }

    mutating func refund(_ rule: ScriptRule, _ key: String, nowUs: Int, amount: Int, receiptUs: Int?) {
        steps.append(.refund(rule, key, nowUs: nowUs, amount: amount, receiptUs: receiptUs))
        let (word, remaining) = store.refund(rule, key, nowUs: nowUs, amount: amount, receiptUs: receiptUs)
        expectations.append(.refund(word, remaining))
    }

    mutating func renew(_ key: String, _ lease: String, nowUs: Int, termUs: Int) {
        steps.append(.renew(key, lease, nowUs: nowUs, termUs: termUs))
        let isHeld = store.withLeases(key) { $0.renew(lease, nowUs: nowUs, termUs: termUs) }
        expectations.append(.lease(isHeld ? "renewed" : "gone"))
    }

    mutating func release(_ key: String, _ lease: String, nowUs: Int) {
        steps.append(.release(key, lease, nowUs: nowUs))
        let wasHeld = store.withLeases(key) { $0.release(lease, nowUs: nowUs) }
        expectations.append(.lease(wasHeld ? "released" : "gone"))
    }

    /// Runs the steps and compares; the first difference is reported with all that led to it on its keys.
    /// - Returns: how many outcomes were equal.
    @discardableResult
    func run(on redis: ScriptRedis, seed: UInt64) async throws -> Int {
        let replies = try await redis.run(steps)
        var equal = 0
        for (i, expectation) in expectations.enumerated() {
            switch expectation {
            case .check(let call, let expected):
                let said = try CheckReply(replies[i], call)
                equal += said.outcomes.count
                if said != expected {
                    report(i, "\(said)", "\(expected)", seed)
                    return equal
                }
            case .refund(let word, let remaining):
                guard case .array(let parts) = replies[i], parts.first?.string == word, parts.last?.int == remaining
                else {
                    report(i, "\(replies[i])", "\(word) \(remaining)", seed)
                    return equal
                }
            case .lease(let word):
                var said = replies[i].string
                if case .array(let parts) = replies[i] { said = parts.first?.string }
                if said != word {
                    report(i, "\(said ?? "nothing")", word, seed)
                    return equal
                }
            }
        }
        return equal
    }

    private func report(_ index: Int, _ said: String, _ expected: String, _ seed: UInt64) {
        let keys = Set(steps[index].keys)
        let history = steps[...index].filter { !keys.isDisjoint(with: $0.keys) }.suffix(12)
            .map { "\($0.script?.name ?? "") \($0.keys) \($0.words)" }
        Issue.record(
            """
            QM_SEED=\(seed), step \(index): the script said \(said), the model \(expected), after
            \(history.joined(separator: "\n"))
            """)
    }
}

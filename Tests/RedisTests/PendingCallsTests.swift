import TestSupport
import Testing

@testable import Redis

@Suite struct PendingCallsTests {
    private struct Model {
        var number: Int
        var deadlineUs: Int64
        var isGivenUp = false
    }

    private final class Numbered: RedisCall {
        let number: Int
        init(_ number: Int) { self.number = number }
        var route: RedisRoute { .any }
        func encode(to writer: RESPWriter) {}
        func completed(_ result: Result<ReplyView, RedisError>) {}
    }

    /// Random calls, replies and deadlines against an array that does the same naively.
    @Test func agreesWithANaiveModel() {
        var random = SeededRandom()
        var pending = PendingCalls()
        var model: [Model] = []
        var nowUs: Int64 = 0
        func number(_ call: (any RedisCall)?) -> Int? { (call as? Numbered)?.number }
        for step in 0..<20_000 {
            nowUs += Int64(random.int(0...3))
            // Waves, so that the ring grows, wraps and empties.
            let sends = (step / 500) % 2 == 0 ? 6 : 3
            switch random.int(0...9) {
            case 0..<sends:
                let deadlineUs = nowUs + Int64(random.int(0...400))
                pending.append(PendingCalls.Entry(call: Numbered(step), deadlineUs: deadlineUs))
                model.append(Model(number: step, deadlineUs: deadlineUs))
            case sends..<8:
                let entry = pending.removeFirst()
                let expected = model.isEmpty ? nil : model.removeFirst()
                #expect((entry == nil) == (expected == nil), "seed \(random.seed)")
                #expect(
                    number(entry?.call) == (expected?.isGivenUp == true ? nil : expected?.number), "seed \(random.seed)"
                )
            case 8:
                let entry = pending.removeLast()
                let expected = model.popLast()
                #expect(
                    number(entry?.call) == (expected?.isGivenUp == true ? nil : expected?.number), "seed \(random.seed)"
                )
            default:
                let (expired, next) = pending.expire(nowUs: nowUs)
                let due = model.indices.filter { !model[$0].isGivenUp && model[$0].deadlineUs <= nowUs }
                #expect(expired.compactMap { number($0) } == due.map { model[$0].number }, "seed \(random.seed)")
                for i in due { model[i].isGivenUp = true }
                #expect(next == model.filter { !$0.isGivenUp }.map(\.deadlineUs).min(), "seed \(random.seed)")
            }
            #expect(pending.count == model.count, "seed \(random.seed)")
            #expect(pending.isEmpty == model.isEmpty)
        }
    }
}

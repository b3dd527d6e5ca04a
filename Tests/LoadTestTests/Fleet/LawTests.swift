import Testing

@testable import LoadTest

/// Made-up states, sound ones and broken ones: a checker that finds nothing wrong anywhere proves nothing.
struct LimitLawTests {
    private static let bucket = RunRecord.Limit(name: "b", shape: .bucket, limit: 4, windowUs: 1_000_000, burst: 8)
    private static let window = RunRecord.Limit(name: "w", shape: .window, limit: 2, windowUs: 1_000_000, burst: 0)

    private func at(_ us: Int64..., tookUs: Int64 = 0) -> [RunRecord.Allowed] {
        us.map { RunRecord.Allowed(sentUs: $0, answeredUs: $0 + tookUs) }
    }

    @Test func aBucketMayBurstAndRefill() {
        let burst = Array(repeating: RunRecord.Allowed(sentUs: 10, answeredUs: 20), count: 8)
        #expect(LimitLaw.excess(burst, LimitLawTests.bucket) == 0)
        #expect(LimitLaw.excess(burst + at(250_010), LimitLawTests.bucket) == 0)
        #expect(LimitLaw.excess(burst + at(249_000), LimitLawTests.bucket) == 1)
        #expect(LimitLaw.excess(burst + burst, LimitLawTests.bucket) == 8)
    }

    /// The excess is found where it is, though the run as a whole stays far below.
    @Test func theWorstPlaceCounts() {
        let calm = (0..<20).map { RunRecord.Allowed(sentUs: $0 * 10_000_000, answeredUs: $0 * 10_000_000) }
        let crowd = Array(repeating: RunRecord.Allowed(sentUs: 55_000_000, answeredUs: 55_000_000), count: 10)
        #expect(LimitLaw.excess(calm + crowd, LimitLawTests.bucket) == 2)
    }

    /// What took long may have been decided early or late: the benefit of the doubt is the fleet's.
    @Test func slowAnswersAreNoExcess() {
        let slow = Array(repeating: RunRecord.Allowed(sentUs: 0, answeredUs: 1_000_000), count: 12)
        #expect(LimitLaw.excess(slow, LimitLawTests.bucket) == 0)
    }

    @Test func aWindowIsAligned() {
        #expect(LimitLaw.excess(at(999_998, 999_999, 1_000_000, 1_000_001), LimitLawTests.window) == 0)
        #expect(LimitLaw.excess(at(1_000_000, 1_000_001, 1_999_999), LimitLawTests.window) == 1)
        #expect(LimitLaw.excess(at(900_000, 950_000, 990_000, tookUs: 20_000), LimitLawTests.window) == 0)
    }

    @Test func aFailoverIsCountedAndOtherwiseItIsAViolation() {
        var record = RunRecord()
        record.limits = [LimitLawTests.window]
        record.allowed = ["w ann": at(1, 2, 3), "other bob": at(1, 2, 3, 4)]
        #expect(LimitLaw.judge(record).violationCount == 1)
        record.head.mayLose = true
        #expect(LimitLaw.judge(record).holds && LimitLaw.judge(record).lost == 1)
    }
}

struct JobLawTests {
    private var record: RunRecord {
        var record = RunRecord()
        record.queues = ["q"]
        record.jobs = (1...3).map { RunRecord.Job(queue: "q", key: "k\($0)", id: "q-\($0)", fate: .accepted) }
        record.jobs.append(RunRecord.Job(queue: "q", key: "k4"))
        return record
    }
    private let done: [String: JobLaws.State] = [
        "q-1": .init(word: "completed"), "q-2": .init(word: "completed", history: ["lost", "failed"]),
        "q-3": .init(word: "completed"),
    ]
    private let queue = JobLaws.Queue(made: 3, ended: ["completed": 3], kept: 3)

    /// Names of the laws that are broken.
    private func broken(
        _ record: RunRecord? = nil, _ states: [String: JobLaws.State]? = nil, _ queue: JobLaws.Queue? = nil
    ) -> [String] {
        let laws = JobLaws.judge(
            record ?? self.record, states: states ?? done, queues: ["q": queue ?? self.queue])
        return laws.filter { !$0.holds }.map { String($0.name.prefix(12)) }
    }

    @Test func soundOnesHold() {
        #expect(broken() == [])
        // The one nobody heard of may have been made.
        #expect(broken(nil, nil, .init(made: 4, ended: ["completed": 4], kept: 4)) == [])
    }

    @Test func brokenOnesAreFound() {
        var states = done
        states["q-2"]!.word = "running"
        #expect(broken(nil, states) == ["every accept"])
        states["q-2"] = nil
        #expect(broken(nil, states) == ["every accept"])
        // One of more than are kept made room for others.
        #expect(broken(nil, states, .init(made: 3, ended: ["completed": 3], kept: 10_000)) == [])
        states = done
        states["q-2"]!.history = ["completed"]
        #expect(broken(nil, states) == ["no job is ma"])
        #expect(broken(nil, nil, .init(made: 5, ended: ["completed": 5], kept: 5)) == ["no job is ma"])
        #expect(broken(nil, nil, .init(made: 3, ended: ["completed": 4], kept: 3)) == ["no job is ma"])
        #expect(broken(nil, nil, .init(made: 2, ended: ["completed": 2], kept: 2)) == ["no job is ma"])
        #expect(broken(nil, nil, .init(made: 3, ended: ["completed": 2, "dead": 1], kept: 2)) == ["no job is ma"])
        var same = record
        same.jobs[1].id = "q-1"
        #expect(broken(same).contains("each key has"))
    }

    @Test func lossIsCountedWhereItMayBe() {
        var lossy = record
        lossy.head.mayLose = true
        var states = done
        states["q-2"] = nil
        let fewer = JobLaws.Queue(made: 2, ended: ["completed": 2], kept: 2)
        let laws = JobLaws.judge(lossy, states: states, queues: ["q": fewer])
        #expect(laws.allSatisfy(\.holds) && laws[0].lost == 1)
        var reused = lossy
        reused.jobs[1].id = "q-1"
        #expect(JobLaws.judge(reused, states: states, queues: ["q": fewer])[2].lost == 1)
        lossy.head.durability = "replicated"
        #expect(!JobLaws.judge(lossy, states: states, queues: ["q": fewer])[0].holds)
    }
}

struct StockLawTests {
    private static let names = ["bounds", "reserved", "ledger", "sold", "ends", "told"]
    private let first = String(repeating: "1", count: 20)
    private let second = String(repeating: "2", count: 20)

    private var record: RunRecord {
        var record = RunRecord()
        record.products = [.init(sku: "A", initial: 10)]
        record.holds = [
            .init(sku: "A", key: "k1", quantity: 3, id: "A~\(first)", fate: .active),
            .init(sku: "A", key: "k2", quantity: 2, id: "A~\(second)", fate: .confirmed, asked: "confirm"),
        ]
        return record
    }

    private var stock: StockLaws.Stock {
        var stock = StockLaws.Stock()
        stock.counters = .init(quantity: 8, reserved: 3)
        stock.open = [first: .init(status: "active", quantity: 3)]
        stock.told = [first: .init(status: "active", quantity: 3), second: .init(status: "confirmed", quantity: 2)]
        stock.ledger = [
            .init(type: "adjust", hold: "", quantity: 10, reserved: 0),
            .init(type: "reserve", hold: first, quantity: 0, reserved: 3),
            .init(type: "reserve", hold: second, quantity: 0, reserved: 2),
            .init(type: "confirm", hold: second, quantity: -2, reserved: -2),
        ]
        return stock
    }

    private func broken(_ record: RunRecord? = nil, _ change: (inout StockLaws.Stock) -> Void = { _ in }) -> [String] {
        var stock = stock
        change(&stock)
        let laws = StockLaws.judge(record ?? self.record, stocks: ["A": stock])
        return zip(StockLawTests.names, laws).filter { !$1.holds }.map { $0.0 }
    }

    @Test func soundOnesHold() { #expect(broken() == []) }

    @Test func brokenOnesAreFound() {
        #expect(broken { $0.counters.reserved = -1 } == ["bounds", "reserved", "ledger"])
        #expect(broken { $0.counters.reserved = 9 } == ["bounds", "reserved", "ledger"])
        #expect(broken { $0.open = [:] } == ["reserved"])
        #expect(broken { $0.open[second] = .init(status: "active", quantity: 1) } == ["reserved"])
        // One that waits for stock has none.
        #expect(broken { $0.open[second] = .init(status: "waiting", quantity: 1) } == [])
        #expect(broken { $0.ledger.removeFirst() } == ["ledger"])
        #expect(broken { $0.counters.quantity = 9 } == ["ledger", "sold"])
        #expect(broken { $0.ledger.append($0.ledger[3]) } == ["ledger", "sold", "ends"])
        #expect(broken { $0.ledger.append($0.ledger[1]) } == ["ledger", "ends"])
        #expect(broken { $0.ledger[3].reserved = -1 } == ["ledger", "ends"])
    }

    @Test func whatWasSaidIsSo() {
        #expect(broken { $0.told[first] = nil } == ["told"])
        #expect(broken { $0.told[first]!.quantity = 4 } == ["told"])
        #expect(broken { $0.told[second]!.status = "active" } == ["told"])
        #expect(broken { $0.told[first]!.status = "expired" } == ["told"])
        var other = record
        other.holds[0].expires = true
        #expect(broken(other) == ["told"])
        #expect(broken(other) { $0.told[first]!.status = "expired" } == [])
        // Asked for an end, and nothing heard.
        (other.holds[0].expires, other.holds[0].asked) = (false, "cancel")
        for status in ["active", "cancelled"] { #expect(broken(other) { $0.told[first]!.status = status } == []) }
        #expect(broken(other) { $0.told[first]!.status = "confirmed" } == ["told"])
        other = record
        other.holds[1].id = other.holds[0].id
        #expect(broken(other).contains("told"))
    }

    @Test func lossIsCountedWhereItMayBe() {
        var lossy = record
        lossy.head.mayLose = true
        #expect(broken(lossy) { $0.told[first] = nil } == [])
        #expect(broken(lossy) { $0.told[second]!.status = "active" } == [])
        // Nobody cancelled it: that is no loss.
        #expect(broken(lossy) { $0.told[second]!.status = "cancelled" } == ["told"])
        lossy.head.durability = "replicated"
        #expect(broken(lossy) { $0.told[first] = nil } == ["told"])
    }
}

import Testing

@testable import LoadTest

struct OutcomeTests {
    private let kill = Timetable.Entry(atUs: 0, words: ["kill", "redis-1"])
    private let start = Timetable.Entry(atUs: 0, words: ["start", "redis-1"])

    @Test func theFirstSuccessSentAfterAFaultEndsTheOutage() {
        var log = FaultLog()
        log.succeeded(.check, sentUs: 900, atUs: 1000)
        let first = log.began(kill, atUs: 2000)
        log.ended(first, atUs: 2100, failure: nil)
        // Sent before, so it says nothing of the time after.
        log.succeeded(.check, sentUs: 2050, atUs: 2150)
        #expect(log.faults[0].resumedAfterUs[.check] == nil)
        log.succeeded(.check, sentUs: 2200, atUs: 5100)
        #expect(log.faults[0].resumedAfterUs[.check] == 3000)
        #expect(log.faults[0].longestGapUs[.check] == 2950)
        let second = log.began(start, atUs: 6000)
        log.ended(second, atUs: 6001, failure: "no")
        log.succeeded(.job, sentUs: 6500, atUs: 6600)
        log.succeeded(.check, sentUs: 6500, atUs: 6700)
        log.close(9000)
        #expect(log.faults[0].longestGapUs[.check] == 2950)
        #expect(log.faults[1].longestGapUs == [.check: 2300, .job: 2400])
        #expect(log.faults[0].resumedAfterUs[.job] == 4500)
        #expect(log.faults[1].failure == "no")
    }

    @Test func secondsHaveTheirOwnPercentiles() {
        let log = SecondsLog()
        for us in 1...100 { log.answered(second: 0, us: Int64(us)) }
        log.failed(second: 2)
        log.answered(second: 2, us: 50_000)
        log.close(before: 4)
        #expect(log.seconds.count == 4)
        #expect(log.seconds[0] == .init(answers: 100, p50Us: 50, p99Us: 99, maxUs: 100, errors: 0))
        #expect(log.seconds[1] == .init() && log.seconds[3] == .init())
        #expect(log.seconds[2].errors == 1 && log.seconds[2].maxUs == 50_000)
    }

    @Test func aRecordReadsBackAsItWas() throws {
        var record = RunRecord()
        record.head = .init(run: "r1", prefix: "p:", durability: "replicated", mayLose: true, endMs: 12)
        record.limits = MixedRequests.limits
        record.products = [.init(sku: "A", initial: 3)]
        record.queues = ["q-1", "q-2"]
        record.allowed = ["fleet-bucket a": [.init(sentUs: 1, answeredUs: 2), .init(sentUs: 3, answeredUs: 4)]]
        record.jobs = [.init(queue: "q-1", key: "a\"b", id: "q-1-1", fate: .accepted), .init(queue: "q-2", key: "c")]
        record.holds = [
            .init(sku: "A", key: "k", quantity: 2, id: "A~1", fate: .confirmed, asked: "confirm"),
            .init(sku: "A", key: "l", quantity: 1, fate: .refused, expires: true),
        ]
        #expect(try RunRecord(text: record.text()) == record)
        for text in ["", "{}", "[1]", record.text() + #"{"record":"job","fate":"odd"}"#] {
            #expect(throws: UsageError.self) { try RunRecord(text: text) }
        }
    }

    @Test func growthIsToldFromNoise() {
        func trend(_ unit: Trend.Unit, writes: Int = 0, _ value: (Int) -> Double) -> Trend {
            Trend("p", unit, (0..<120).map { .init(seconds: Double($0) * 5, value: value($0)) }, acceptedWrites: writes)
        }
        // Ten minutes: full buffers at first, then a saw of 3 MiB.
        let saw = trend(.residentKiB) { $0 < 20 ? Double($0) * 1000 : 20_000 + Double($0 % 7) * 500 }
        #expect(saw.isGood && saw.verdict == "flat")
        let leak = trend(.residentKiB) { 20_000 + Double($0) * 40 }
        #expect(!leak.isGood && (479...481).contains(leak.slopePerMinute))
        #expect(!trend(.descriptors) { 100 + Double($0) / 5 }.isGood)
        #expect(trend(.descriptors) { 100 + Double($0 % 5) }.isGood)
        // What is kept by design is no leak, and said.
        let kept = trend(.redisBytes, writes: 60_000) { 1e7 + Double($0) * 400_000 }
        #expect(kept.isGood && kept.verdict.hasSuffix("bytes per accepted job or hold"), "\(kept.verdict)")
        #expect(!trend(.redisBytes, writes: 600) { 1e7 + Double($0) * 400_000 }.isGood)
        #expect(Trend("p", .descriptors, [.init(seconds: 0, value: 1)]).isGood)
    }
}

import Telemetry
import Testing

struct HistogramTests {
    @Test func bucketsCoverEveryValueOnceAndAreNarrow() {
        #expect(LogLinearBuckets.lowest(0) == 0)
        #expect(LogLinearBuckets.highest(LogLinearBuckets.count - 1) == .max)
        for i in 0..<LogLinearBuckets.count {
            let (low, high) = (LogLinearBuckets.lowest(i), LogLinearBuckets.highest(i))
            #expect(LogLinearBuckets.index(of: low) == i)
            #expect(LogLinearBuckets.index(of: high) == i)
            #expect(low == 0 || (high - low) <= low / 64, "bucket \(i): \(low) to \(high)")
            if i > 0 { #expect(LogLinearBuckets.highest(i - 1) == low - 1) }
        }
        #expect(LogLinearBuckets.index(of: -5) == 0)
    }

    @Test func percentilesAgreeWithTheSortedValues() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(state: seed)
        for _ in 0..<20 {
            let histogram = Histogram()
            let magnitude = Int64(1) << Int64.random(in: 1...50, using: &random)
            let values = (0..<1000).map { _ in Int64.random(in: 0...magnitude, using: &random) }
            for value in values { histogram.record(value) }
            let sorted = values.sorted()
            for percent in [0, 0.1, 1, 25, 50, 90, 99, 99.9, 100] {
                let rank = max(1, Int((percent * 10 - 1e-6).rounded(.up)))
                let exact = sorted[rank - 1]
                let found = histogram.percentile(percent)
                #expect(found >= exact && found - exact <= exact / 64, "seed \(seed): \(percent)% \(exact) \(found)")
                #expect(histogram.snapshot().percentile(percent) == found)
            }
            #expect(histogram.max == sorted.last)
            #expect(histogram.min == sorted.first)
            #expect(histogram.sum == values.reduce(0, +))
            #expect(histogram.mean == Double(histogram.sum) / 1000)
        }
    }

    @Test func mergingEqualsRecordingInOne() {
        let (left, right, both) = (Histogram(), Histogram(), Histogram())
        for value in stride(from: Int64(0), to: 1000, by: 7) {
            left.record(value)
            both.record(value)
        }
        for value in stride(from: Int64(5), to: 9_000_000, by: 99_999) {
            right.record(value)
            both.record(value)
        }
        var snapshot = left.snapshot()
        snapshot.merge(right.snapshot())
        #expect(snapshot == both.snapshot())
        left.merge(right)
        #expect(left.snapshot() == both.snapshot())
        let empty = Histogram()
        empty.merge(Histogram())
        #expect(empty.snapshot() == HistogramSnapshot())
        empty.merge(both)
        #expect(empty.snapshot() == both.snapshot())
    }

    @Test func anEmptyHistogramAnswersZero() {
        let histogram = Histogram()
        #expect(histogram.percentile(99) == 0)
        #expect(histogram.mean == 0)
        #expect(histogram.min == 0)
        histogram.record(3, times: 4)
        #expect(histogram.count == 4)
        #expect(histogram.sum == 12)
        histogram.reset()
        #expect(histogram.snapshot() == HistogramSnapshot())
    }

    @Test func countsUpToABound() {
        let histogram = Histogram()
        for value in [Int64(1), 100, 1000, 1001, 5000] { histogram.record(value) }
        let snapshot = histogram.snapshot()
        #expect(snapshot.count(upTo: 0) == 0)
        #expect(snapshot.count(upTo: 100) == 2)
        #expect(snapshot.count(upTo: 1000) == 4)
        #expect(snapshot.count(upTo: .max) == 5)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), so that a failure's seed replays it.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

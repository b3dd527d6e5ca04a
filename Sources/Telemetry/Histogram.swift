import Glibc

/// How often which values were seen, to within 1/64 of the value, in bounded memory (30 KB, of which only the pages
/// that hold seen values are ever touched). Recording takes a few nanoseconds and allocates nothing.
///
/// Confined to one thread, like its registry; `snapshot` is what travels.
public final class Histogram {
    @usableFromInline let counts: UnsafeMutablePointer<Int>
    @usableFromInline var recorded = 0
    @usableFromInline var total: Int64 = 0
    @usableFromInline var largest: Int64 = 0
    @usableFromInline var smallest: Int64 = .max

    public init() {
        // calloc hands out untouched pages, so that what is never recorded costs no memory.
        guard let zeroed = calloc(LogLinearBuckets.count, MemoryLayout<Int>.stride) else { fatalError("out of memory") }
        counts = zeroed.bindMemory(to: Int.self, capacity: LogLinearBuckets.count)
    }

    deinit { free(counts) }

    /// Counts one value; a negative one counts as 0.
    @inlinable
    public func record(_ value: Int64) { record(value, times: 1) }

    /// Counts a value `times` times.
    @inlinable
    public func record(_ value: Int64, times: Int) {
        let value = Swift.max(value, 0)
        counts[LogLinearBuckets.index(of: value)] &+= times
        recorded &+= times
        total &+= value &* Int64(times)
        if value > largest { largest = value }
        if value < smallest { smallest = value }
    }

    /// How many values were recorded.
    public var count: Int { recorded }

    /// The largest value recorded, exactly; 0 when there is none.
    public var max: Int64 { largest }

    /// The smallest value recorded, exactly; 0 when there is none.
    public var min: Int64 { recorded == 0 ? 0 : smallest }

    /// The exact sum of all values.
    public var sum: Int64 { total }

    /// The exact mean; 0 when there is nothing.
    public var mean: Double { recorded == 0 ? 0 : Double(total) / Double(recorded) }

    /// The value that `percent` (0 to 100) of the recorded values do not exceed, at most 1/64 too high, never too low.
    public func percentile(_ percent: Double) -> Int64 {
        let buckets = UnsafeBufferPointer(start: counts, count: LogLinearBuckets.count)
        return valueAtPercentile(percent, buckets, count: recorded, smallest: min, largest: largest)
    }

    /// Adds what another histogram has seen.
    public func merge(_ other: Histogram) { merge(other.snapshot()) }

    /// Adds what another histogram had seen.
    public func merge(_ other: HistogramSnapshot) {
        guard other.count > 0 else { return }
        for i in other.counts.indices where other.counts[i] != 0 { counts[i] &+= other.counts[i] }
        recorded &+= other.count
        total &+= other.sum
        largest = Swift.max(largest, other.max)
        smallest = Swift.min(smallest, other.min)
    }

    /// Forgets everything.
    public func reset() {
        memset(counts, 0, LogLinearBuckets.count * MemoryLayout<Int>.stride)
        recorded = 0
        total = 0
        largest = 0
        smallest = .max
    }

    /// A copy that may go to another thread.
    public func snapshot() -> HistogramSnapshot {
        guard recorded > 0 else { return HistogramSnapshot() }
        let used = LogLinearBuckets.index(of: largest) + 1
        let buckets = UnsafeBufferPointer(start: counts, count: used)
        return HistogramSnapshot(counts: Array(buckets), count: recorded, sum: total, min: smallest, max: largest)
    }
}

/// What a histogram had seen at one moment.
public struct HistogramSnapshot: Sendable, Equatable {
    /// Per bucket of `LogLinearBuckets`, up to the last one used.
    public private(set) var counts: [Int] = []
    public private(set) var count = 0
    public private(set) var sum: Int64 = 0
    public private(set) var min: Int64 = 0
    public private(set) var max: Int64 = 0

    public init() {}

    init(counts: [Int], count: Int, sum: Int64, min: Int64, max: Int64) {
        self.counts = counts
        self.count = count
        self.sum = sum
        self.min = min
        self.max = max
    }

    public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    /// As `Histogram.percentile`.
    public func percentile(_ percent: Double) -> Int64 {
        counts.withUnsafeBufferPointer {
            valueAtPercentile(percent, $0, count: count, smallest: min, largest: max)
        }
    }

    /// How many values were at most `bound`, the whole bucket of `bound` included.
    public func count(upTo bound: Int64) -> Int {
        counts.prefix(LogLinearBuckets.index(of: bound) + 1).reduce(0, +)
    }

    public mutating func merge(_ other: HistogramSnapshot) {
        guard other.count > 0 else { return }
        if counts.count < other.counts.count {
            counts += Array(repeating: 0, count: other.counts.count - counts.count)
        }
        for i in other.counts.indices { counts[i] &+= other.counts[i] }
        min = count == 0 ? other.min : Swift.min(min, other.min)
        max = Swift.max(max, other.max)
        count &+= other.count
        sum &+= other.sum
    }
}

private func valueAtPercentile(
    _ percent: Double, _ buckets: UnsafeBufferPointer<Int>, count: Int, smallest: Int64, largest: Int64
) -> Int64 {
    guard count > 0 else { return 0 }
    // The small term keeps 99.9 % of 1000 at 999 when the product comes out a hair above it.
    let rank = max(1, Int((percent * Double(count) / 100 - 1e-6).rounded(.up)))
    var seen = 0
    for i in buckets.indices {
        seen += buckets[i]
        if seen >= rank { return min(max(LogLinearBuckets.highest(i), smallest), largest) }
    }
    return largest
}

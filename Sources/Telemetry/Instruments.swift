/// A number that only grows.
public final class Counter {
    @usableFromInline var current = 0

    init() {}

    @inlinable public var value: Int { current }

    @inlinable
    public func increment(by amount: Int = 1) { current &+= amount }
}

/// A number that goes up and down.
public final class Gauge {
    public var value = 0

    init() {}

    @inlinable public func set(_ value: Int) { self.value = value }
    @inlinable public func add(_ amount: Int) { value &+= amount }
}

/// How the gauges of several loops become one.
public enum GaugeMerging: Sendable {
    /// Parts of a whole: connections, bytes.
    case sum
    /// Views of the same thing: a revision, an age.
    case max
}

/// What a histogram's values are. It decides the unit and the bucket bounds of the exposition.
public enum MetricUnit: Sendable {
    /// Recorded in microseconds, exposed in seconds, as Prometheus wants it: name it `…_seconds`.
    case microseconds
    /// Bytes: name it `…_bytes`.
    case bytes
    /// A plain number of things.
    case count

    /// The `le` bounds, in the recorded unit.
    var bounds: [Int64] {
        switch self {
        case .microseconds:
            [
                100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
                2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
            ]
        case .bytes: (3...13).map { 1 << (2 * $0) }
        case .count: (0...12).map { 1 << $0 }
        }
    }
}

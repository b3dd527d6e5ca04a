/// The buckets of a histogram: linear within each power of two, so that a bucket is never wider than 1/64 of its lowest
/// value. Values up to 127 have a bucket each. The scheme is that of HdrHistogram (http://hdrhistogram.org).
public enum LogLinearBuckets {
    /// Buckets for all of 0 to `Int64.max`.
    public static let count = 3712

    /// The bucket of a value; negative values count as 0.
    @inlinable
    public static func index(of value: Int64) -> Int {
        let magnitude = UInt64(max(value, 0))
        let shift = max(57 &- magnitude.leadingZeroBitCount, 0)
        return shift &* 64 &+ Int(truncatingIfNeeded: magnitude &>> UInt64(shift))
    }

    /// The smallest value that falls into a bucket.
    @inlinable
    public static func lowest(_ index: Int) -> Int64 {
        let shift = max(index / 64 - 1, 0)
        return Int64(index - shift * 64) << Int64(shift)
    }

    /// The largest value that falls into a bucket.
    @inlinable
    public static func highest(_ index: Int) -> Int64 {
        index + 1 < count ? lowest(index + 1) - 1 : .max
    }
}

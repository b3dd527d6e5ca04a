import Services
import Synchronization

/// What a rule with `onStoreFailure: "local"` allows while Redis is away: each replica its share, ceil(limit / replicas),
/// as a token bucket in memory. One table per process, shared by its loops.
final class LocalLimits: Sendable {
    private struct Bucket {
        /// Tokens used, times the window in µs: integers, like the script's.
        var usedUnits: Int
        var atUs: Int64
    }

    private let buckets = Mutex<[[UInt8]: Bucket]>([:])
    private static let mostKeys = 100_000

    /// Takes `cost` of a key's share if it is there.
    /// - Parameter nowUs: the monotonic clock.
    func take(_ key: [UInt8], cost: Int, capacity: Int, windowUs: Int, replicas: Int, nowUs: Int64) -> Outcome {
        let share = (capacity + replicas - 1) / replicas
        let (full, overflow) = share.multipliedReportingOverflow(by: windowUs)
        guard !overflow else { return Outcome(verdict: .allowed, remaining: share, resetUs: 0, retryUs: 0) }
        let costUnits = cost.multipliedReportingOverflow(by: windowUs)
        guard cost <= share, !costUnits.overflow else {
            return Outcome(verdict: .exceeds, remaining: 0, resetUs: 0, retryUs: 0)
        }
        return buckets.withLock { buckets in
            if buckets.count >= LocalLimits.mostKeys { buckets.removeAll(keepingCapacity: true) }
            var bucket = buckets[key] ?? Bucket(usedUnits: 0, atUs: nowUs)
            // A share comes back per window, so `share` units per µs.
            // Loops read the clock once a tick, so that one may be a little behind another: no time has passed then.
            let elapsed = max(0, min(Int(nowUs - bucket.atUs), windowUs))
            bucket.usedUnits = max(0, bucket.usedUnits - elapsed * share)
            bucket.atUs = max(bucket.atUs, nowUs)
            // In this order, since used and cost together may be beyond an integer.
            let missing = costUnits.partialValue - (full - bucket.usedUnits)
            if missing <= 0 { bucket.usedUnits += costUnits.partialValue }
            buckets[key] = bucket
            return Outcome(
                verdict: missing <= 0 ? .allowed : .refused, remaining: (full - bucket.usedUnits) / windowUs,
                resetUs: bucket.usedUnits.dividedRoundingUp(by: share),
                retryUs: missing.dividedRoundingUp(by: share))
        }
    }
}

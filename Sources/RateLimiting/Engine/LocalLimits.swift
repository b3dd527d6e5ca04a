import Bytes
import Digests
import Services
import Synchronization

/// What a rule with `onStoreFailure: "local"` allows while Redis is away: each replica its share, ceil(limit / replicas),
/// as a token bucket in memory. One table per process, shared by its loops.
final class LocalLimits: Sendable {
    private struct Bucket {
        /// Tokens used, times the window in µs. Any limit (below 2^53) times any window (below 2^53) fits, so that every
        /// step is exact.
        var usedUnits: Int128
        var windowUs: Int
        var atUs: Int64

        /// Says the same in units of another window; a fraction of one is rounded up.
        mutating func convert(to newUs: Int) {
            let (old, new) = (Int128(windowUs), Int128(newUs))
            let (tokens, rest) = usedUnits.quotientAndRemainder(dividingBy: old)
            usedUnits = tokens * new + (rest * new + old - 1) / old
            windowUs = newUs
        }
    }

    /// Two halves: who is asked about moves to the younger one, and when that is full the older one is forgotten. So many
    /// made-up keys make nobody forgotten who is asked about again and again.
    private struct Table {
        var younger: [KeyedHash.Value: Bucket] = [:]
        var older: [KeyedHash.Value: Bucket] = [:]

        mutating func keep(_ bucket: Bucket, _ name: KeyedHash.Value, _ mostKeys: Int) {
            if younger.count >= mostKeys / 2, younger[name] == nil {
                older = younger
                younger = [:]
            }
            younger[name] = bucket
        }
    }

    private let table = Mutex(Table())
    private let keyed = KeyedHash()
    private let mostKeys: Int

    /// - Parameter mostKeys: how many keys are remembered at most.
    init(mostKeys: Int = 200_000) { self.mostKeys = mostKeys }

    /// Takes `cost` of a key's share if it is there.
    /// - Parameter nowUs: the monotonic clock.
    func take(_ key: [UInt8], cost: Int, capacity: Int, windowUs: Int, replicas: Int, nowUs: Int64) -> Outcome {
        let replicas = max(1, replicas)
        let share = capacity / replicas + (capacity % replicas > 0 ? 1 : 0)
        guard cost <= share else { return Outcome(verdict: .exceeds, remaining: 0, resetUs: 0, retryUs: 0) }
        // A share comes back per window, so `wide` units per µs.
        let wide = Int128(share)
        let full = wide * Int128(windowUs)
        let costUnits = Int128(cost) * Int128(windowUs)
        let name = key.withByteView { keyed.hash($0) }
        return table.withLock { table in
            var bucket =
                table.younger[name] ?? table.older[name] ?? Bucket(usedUnits: 0, windowUs: windowUs, atUs: nowUs)
            if bucket.windowUs != windowUs { bucket.convert(to: windowUs) }
            // Loops read the clock once a tick, so that one may be a little behind another: no time has passed then.
            let elapsedUs = max(0, min(nowUs - bucket.atUs, Int64(windowUs)))
            bucket.usedUnits = max(0, bucket.usedUnits - Int128(elapsedUs) * wide)
            bucket.atUs = max(bucket.atUs, nowUs)
            let missing = bucket.usedUnits + costUnits - full
            if missing <= 0 { bucket.usedUnits += costUnits }
            table.keep(bucket, name, mostKeys)
            return Outcome(
                verdict: missing <= 0 ? .allowed : .refused,
                remaining: Int(clamping: max(0, full - bucket.usedUnits) / Int128(windowUs)),
                resetUs: LocalLimits.quotient(bucket.usedUnits, wide), retryUs: LocalLimits.quotient(missing, wide))
        }
    }

    /// `units / rate`, rounded up; 0 where nothing is missing.
    private static func quotient(_ units: Int128, _ rate: Int128) -> Int {
        units <= 0 ? 0 : Int(clamping: (units + rate - 1) / rate)
    }
}

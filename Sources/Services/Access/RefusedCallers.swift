/// How many requests without a known token an address may make on one loop: 100 at once, then 10 a second. Callers with a
/// token are not held up by what others behind their address do.
///
/// Addresses share a fixed number of slots, so nobody can make it grow; that two of them may share one only makes
/// strangers strangers to each other.
struct RefusedCallers {
    private static let slotCount = 4096
    private static let intervalUs: Int64 = 100_000
    private static let burst: Int64 = 100

    /// By slot, when all that was refused there will have been made up for (GCRA's theoretical arrival time).
    private var arrivalsUs = [Int64](repeating: 0, count: slotCount)

    /// Counts a refusal; seconds to wait once there were too many.
    mutating func refused(_ address: IPAddress?, nowUs: Int64) -> Int? {
        let slot = (address?.prefix(64).hashValue ?? 0) & (RefusedCallers.slotCount - 1)
        let arrivalUs = max(arrivalsUs[slot], nowUs) + RefusedCallers.intervalUs
        let excessUs = arrivalUs - nowUs - RefusedCallers.intervalUs * RefusedCallers.burst
        guard excessUs > 0 else {
            arrivalsUs[slot] = arrivalUs
            return nil
        }
        return Int((excessUs + 999_999) / 1_000_000)
    }
}

import Foundation
import Synchronization

/// When the clocks of a zone were and will be changed, as two sorted lists: Foundation answers such a question in
/// microseconds, a search in a list in nanoseconds.
struct ZoneTable: Sendable {
    /// Seconds since the epoch at which a new offset begins. The first is the beginning of time.
    let starts: [Int]
    /// Seconds east of UTC from the start of the same index on.
    let offsets: [Int]

    /// 1970 to the end of 2199. Earlier the first offset holds, later the last.
    static let years = (begin: 0, end: 7_258_118_400)

    init(_ zone: TimeZone) {
        var at = Date(timeIntervalSince1970: Double(ZoneTable.years.begin))
        var starts = [Int.min]
        var offsets = [zone.secondsFromGMT(for: at)]
        while let next = zone.nextDaylightSavingTimeTransition(after: at), next > at,
            next.timeIntervalSince1970 < Double(ZoneTable.years.end)
        {
            at = next
            let offset = zone.secondsFromGMT(for: at)
            // Some changes are of the name only.
            guard offset != offsets.last else { continue }
            starts.append(Int(at.timeIntervalSince1970.rounded()))
            offsets.append(offset)
        }
        self.starts = starts
        self.offsets = offsets
    }

    /// The index of the stretch of time that holds a moment.
    func index(at seconds: Int) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= seconds { low = middle } else { high = middle }
        }
        return low
    }

    // MARK: One table per zone and process

    /// Making one takes 0.3 ms. There are no more than the database has names, since only known zones come here.
    private static let made = Mutex<[String: ZoneTable]>([:])

    /// The table of a zone of the database.
    static func of(_ zone: TimeZone) -> ZoneTable {
        if let table = made.withLock({ $0[zone.identifier] }) { return table }
        let table = ZoneTable(zone)
        made.withLock { $0[zone.identifier] = table }
        return table
    }
}

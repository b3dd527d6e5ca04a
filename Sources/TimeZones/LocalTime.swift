/// The moments at which a zone's clock shows a given local time. Seconds since the Unix epoch.
public enum LocalTime: Sendable, Equatable {
    case once(Int)
    /// The clock was put back: it shows the time at both moments.
    case twice(first: Int, second: Int)
    /// The clock was put forward past it: it never shows the time. `resumesAt` is the moment right after the gap.
    case skipped(resumesAt: Int)
}

/// From moments to the local clock and back, in whole seconds: nanoseconds each.
///
/// What the system's database says of 1970 to 2199 is kept; earlier the offset of 1970 holds, later that of 2199's end.
extension Zone {
    /// Seconds east of UTC at a moment.
    /// - Parameter seconds: since the Unix epoch.
    public func offsetSeconds(at seconds: Int) -> Int { table.offsets[table.index(at: seconds)] }

    /// The next moment at which the offset changes, strictly after one; nil when it stays as it is.
    /// - Parameter seconds: since the Unix epoch, as is the result.
    public func nextTransition(after seconds: Int) -> Int? {
        let next = table.index(at: seconds) + 1
        return next < table.starts.count ? table.starts[next] : nil
    }

    /// When the local clock shows a time.
    /// - Parameter local: the local time, as seconds that a clock without offset would count since 1970-01-01 00:00.
    public func moments(ofLocal local: Int) -> LocalTime {
        // No offset is beyond a day, so that only the stretches around hold it. The first of these begins before it.
        var index = table.index(at: local - 86400)
        var first: Int?
        while index < table.starts.count {
            let moment = local - table.offsets[index]
            if moment < table.starts[index] {
                return first.map { .once($0) } ?? .skipped(resumesAt: table.starts[index])
            }
            if index + 1 == table.starts.count || moment < table.starts[index + 1] {
                if let first { return .twice(first: first, second: moment) }
                first = moment
            }
            index += 1
        }
        return .once(first!)
    }
}

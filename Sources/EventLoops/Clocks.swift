import Glibc

/// Elapsed time: never set back, useless as a date.
public enum MonotonicClock {
    public static func nowUs() -> Int64 { read(CLOCK_MONOTONIC) }
}

/// The date, for logs and headers only. No decision is made by it: rules of time are judged by Redis's clock.
///
/// `QM_CLOCK_OFFSET_MS` in the environment sets this process's date that much ahead (or behind, when negative), so that a
/// test can show it.
public enum WallClock {
    /// Microseconds since the Unix epoch.
    public static func nowUs() -> Int64 { read(CLOCK_REALTIME) + offsetUs }

    /// How far the date is set off, µs.
    public static let offsetUs: Int64 = {
        guard let text = getenv("QM_CLOCK_OFFSET_MS"), let ms = Int64(String(cString: text)) else { return 0 }
        let (us, overflow) = ms.multipliedReportingOverflow(by: 1000)
        return overflow ? 0 : us
    }()
}

private func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

import Glibc

/// Elapsed time: never set back, useless as a date.
public enum MonotonicClock {
    public static func nowUs() -> Int64 { read(CLOCK_MONOTONIC) }
}

/// The date, for logs and headers only. No decision is made by it: rules of time are judged by Redis's clock.
public enum WallClock {
    /// Microseconds since the Unix epoch.
    public static func nowUs() -> Int64 { read(CLOCK_REALTIME) }
}

private func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

/// Lengths of time as people write them.
public enum DurationText {
    /// Milliseconds of `250ms`, `30s`, `5m`, `1h`, `7d`; nil for anything else, and above a century.
    public static func parseMs(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, digits.utf8.count <= 15, let count = Int(digits) else { return nil }
        let unitMs: Int
        switch text.dropFirst(digits.count) {
        case "ms": unitMs = 1
        case "s": unitMs = 1000
        case "m": unitMs = 60_000
        case "h": unitMs = 3_600_000
        case "d": unitMs = 86_400_000
        default: return nil
        }
        let (ms, overflow) = count.multipliedReportingOverflow(by: unitMs)
        return overflow || ms > 3_155_760_000_000 ? nil : ms
    }
}

extension Int {
    /// Whole units, rounded up: microseconds to milliseconds, milliseconds to seconds.
    public func dividedRoundingUp(by unit: Int) -> Int {
        self <= 0 ? 0 : (self - 1) / unit + 1
    }
}

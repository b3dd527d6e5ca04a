import TimeZones

/// Why the text of a schedule is refused.
public struct CronError: Error, CustomStringConvertible {
    public let field: String
    public let detail: String
    public var description: String { "\(field): \(detail)" }
}

/// When a schedule's slots are: every so many milliseconds since the epoch.
public enum Schedule: Sendable {
    case every(ms: Int)

    public init(_ text: String) throws(CronError) {
        throw CronError(field: "expression", detail: "cannot be read: \(text)")
    }

    /// The next slot after a moment, both in ms since the epoch.
    public func next(afterMs: Int, in zone: Zone) -> Int? {
        guard case .every(let ms) = self else { return nil }
        return (afterMs / ms + 1) * ms
    }
}

/// The id of an entry of a Redis stream, such as `1700000000000-3`. Ids grow with time, so they serve as cursors.
public struct StreamID: Comparable, Sendable {
    public let ms: UInt64
    public let sequence: UInt64

    public init(ms: UInt64, sequence: UInt64) {
        self.ms = ms
        self.sequence = sequence
    }

    /// Nil for what is no id: two numbers of 64 bits without a sign, with a hyphen between.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let ms = StreamID.number(parts[0]), let sequence = StreamID.number(parts[1]) else {
            return nil
        }
        self.init(ms: ms, sequence: sequence)
    }

    public var text: String { "\(ms)-\(sequence)" }

    /// The largest id below this one; nil for the smallest of all. Redis refuses to exclude an id that nothing is below.
    public var predecessor: StreamID? {
        if sequence > 0 { return StreamID(ms: ms, sequence: sequence - 1) }
        return ms > 0 ? StreamID(ms: ms - 1, sequence: .max) : nil
    }

    /// The smallest id above this one; nil for the largest of all.
    public var successor: StreamID? {
        if sequence < .max { return StreamID(ms: ms, sequence: sequence + 1) }
        return ms < .max ? StreamID(ms: ms + 1, sequence: 0) : nil
    }

    public static func < (a: StreamID, b: StreamID) -> Bool { (a.ms, a.sequence) < (b.ms, b.sequence) }

    /// Swift's own reading of numbers takes a sign.
    private static func number(_ digits: Substring) -> UInt64? {
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(digits) : nil
    }
}

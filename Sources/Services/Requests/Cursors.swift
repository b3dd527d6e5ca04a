/// What clients send back to us as they got it: cursors of lists, ids of events. Each type holds only what we could have
/// given out, so that whoever goes on from there can reckon with it.

/// The place of an entry in a stream of Redis: `1700000000000-0`.
public struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let ms: Int
    public let sequence: Int

    public static let zero = StreamID(ms: 0, sequence: 0)

    private init(ms: Int, sequence: Int) {
        self.ms = ms
        self.sequence = sequence
    }

    /// nil for text that is no place. There is always one behind, so that a range may begin behind it.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let ms = Digits.int(parts[0], most: 18), let sequence = Digits.int(parts[1], most: 18)
        else { return nil }
        self.init(ms: ms, sequence: sequence)
    }

    /// The place of an entry: there is one before it as well. `0-0` is the place before all entries.
    public static func ofEntry(_ text: String) -> StreamID? {
        guard let id = StreamID(text), id > .zero else { return nil }
        return id
    }

    public var description: String { "\(ms)-\(sequence)" }

    public static func < (a: StreamID, b: StreamID) -> Bool { (a.ms, a.sequence) < (b.ms, b.sequence) }
}

/// How many elements of a list come before a page. Far from the end of its type, so that a page's length can be added.
public struct ListOffset: Sendable, Hashable, CustomStringConvertible {
    public let value: Int

    public static let start = ListOffset(value: 0)

    /// - Parameter value: what is out of the range that may be given out is brought into it.
    public init(value: Int) { self.value = min(max(0, value), 999_999_999_999) }

    public init?(_ text: String) {
        guard let value = Digits.int(text, most: 12) else { return nil }
        self.value = value
    }

    public var description: String { String(value) }
}

/// Numbers that consist of digits and nothing else; `Int("+1")` is a number, too.
public enum Digits {
    /// - Parameter most: how many digits there may be, at most 18.
    public static func int(_ text: some StringProtocol, most: Int) -> Int? {
        guard (1...min(most, 18)).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }
}

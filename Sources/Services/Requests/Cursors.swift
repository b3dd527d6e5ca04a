// What clients send back to us as they got it is read into types that hold only what we could have given out (`StreamID` is
// another), so that whoever goes on from there can reckon with it.

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

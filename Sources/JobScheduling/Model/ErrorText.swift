import JSON

/// What a worker says of a failure, as it is kept: readable, and short. Nothing that it says is refused, since a job whose
/// worker cannot say that it failed would be taken for one that takes workers down.
enum ErrorText {
    static let mostBytes = 1000
    private static let silent = "failed without a word"

    static func cleaned(_ value: JSONValue?) -> String {
        switch value {
        case nil: silent
        case .string(let text)?: cleaned(text)
        case let other?: cleaned(other.text())
        }
    }

    /// Control characters but line ends and tabs become blanks; of a long text the beginning and the end are kept, where a
    /// traceback says what failed.
    static func cleaned(_ text: String) -> String {
        var plain = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", "\t": plain.append(scalar)
            // Line ends of Windows.
            case "\r": continue
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): plain.append(" ")
            default: plain.append(scalar)
            }
        }
        let whole = String(plain)
        if whole.utf8.count <= mostBytes { return whole.allSatisfy(\.isWhitespace) ? silent : whole }
        let gap = " … "
        let head = prefix(whole, 250)
        return head + gap + suffix(whole, mostBytes - head.utf8.count - gap.utf8.count)
    }

    /// The first characters that fit into so many bytes.
    private static func prefix(_ text: String, _ bytes: Int) -> String {
        var rest = bytes
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix { scalar in
                    rest -= UTF8.width(scalar)
                    return rest >= 0
                }))
    }

    private static func suffix(_ text: String, _ bytes: Int) -> String {
        var rest = bytes
        let reversed = text.unicodeScalars.reversed().prefix { scalar in
            rest -= UTF8.width(scalar)
            return rest >= 0
        }
        return String(String.UnicodeScalarView(reversed.reversed()))
    }
}

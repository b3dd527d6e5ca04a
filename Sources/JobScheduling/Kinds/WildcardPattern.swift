/// A pattern of text: `*` is any run of characters, `?` any one; everything else is itself. It matches the whole text.
struct WildcardPattern: Sendable, Equatable {
    private let pattern: [UInt8]

    init(_ text: String) { pattern = Array(text.utf8) }

    /// In time that is at most the product of both lengths: of several stars only the last one is tried again.
    func matches(_ text: [UInt8]) -> Bool {
        var (at, i) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while at < text.count {
            if i < pattern.count, pattern[i] == 0x2A {
                star = (i, at)
                i += 1
            } else if i < pattern.count, pattern[i] == 0x3F {
                at += WildcardPattern.length(text, at)
                i += 1
            } else if i < pattern.count, pattern[i] == text[at] {
                at += 1
                i += 1
            } else if let last = star {
                let next = last.text + WildcardPattern.length(text, last.text)
                star = (last.pattern, next)
                (i, at) = (last.pattern + 1, next)
            } else {
                return false
            }
        }
        return pattern[i...].allSatisfy { $0 == 0x2A }
    }

    /// Bytes of the character at `at`; what is not UTF-8 counts byte by byte.
    private static func length(_ text: [UInt8], _ at: Int) -> Int {
        let first = text[at]
        let length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1
        guard at + length <= text.count, text[(at + 1)..<(at + length)].allSatisfy({ $0 & 0xC0 == 0x80 }) else {
            return 1
        }
        return length
    }
}

/// A pattern for file names: `*` is any run of bytes, `?` any one character; everything else is itself. It matches the
/// whole name, names that begin with a dot included.
struct NamePattern: Sendable, Equatable {
    private let pattern: [UInt8]

    /// - Returns: nil when the pattern is empty or holds a slash or NUL, which no name has.
    init?(_ text: String) {
        pattern = Array(text.utf8)
        if pattern.isEmpty || pattern.contains(0x2F) || pattern.contains(0) { return nil }
    }

    /// In time that is at most the product of both lengths: of several stars only the last one is tried again.
    func matches(_ name: [UInt8]) -> Bool {
        var (at, i) = (0, 0)
        var star: (pattern: Int, name: Int)?
        while at < name.count {
            if i < pattern.count, pattern[i] == 0x2A {
                star = (i, at)
                i += 1
            } else if i < pattern.count, pattern[i] == 0x3F {
                at += NamePattern.length(name, at)
                i += 1
            } else if i < pattern.count, pattern[i] == name[at] {
                at += 1
                i += 1
            } else if let last = star {
                let next = last.name + NamePattern.length(name, last.name)
                star = (last.pattern, next)
                (i, at) = (last.pattern + 1, next)
            } else {
                return false
            }
        }
        return pattern[i...].allSatisfy { $0 == 0x2A }
    }

    /// Bytes of the character at `at`; what is not UTF-8 counts byte by byte.
    private static func length(_ name: [UInt8], _ at: Int) -> Int {
        let first = name[at]
        let length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1
        guard at + length <= name.count, name[(at + 1)..<(at + length)].allSatisfy({ $0 & 0xC0 == 0x80 }) else {
            return 1
        }
        return length
    }
}

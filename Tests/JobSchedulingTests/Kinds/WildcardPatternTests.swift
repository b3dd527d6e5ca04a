import Testing

@testable import JobScheduling

struct WildcardPatternTests {
    private static let cases: [(String, String, Bool)] = [
        ("*", "", true), ("*", "anything", true), ("*", ".hidden", true), ("a", "a", true), ("a", "ab", false),
        ("a", "A", false), ("*.log", "x.log", true), ("*.log", ".log", true), ("*.log", "x.log.1", false),
        ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("?", "é", true), ("??", "é", false),
        ("?*?", "é", false), ("*?", "日本", true), ("日?", "日本", true), ("[a]", "a", false), ("[a]", "[a]", true),
        ("**", "a", true), ("*a*a*a*a*b", String(repeating: "a", count: 200), false), ("a?c", "ac", false),
    ]

    @Test(arguments: cases.indices) func aPatternMatchesTheWholeName(_ i: Int) {
        let (pattern, name, matches) = WildcardPatternTests.cases[i]
        #expect(WildcardPattern(pattern).matches(Array(name.utf8)) == matches, "\(pattern) \(name)")
    }

    @Test func bytesThatAreNoTextCountOneByOne() {
        #expect(WildcardPattern("??").matches([0xFF, 0xC3]))
        #expect(WildcardPattern("?").matches([0xE6, 0x97]) == false)
    }
}

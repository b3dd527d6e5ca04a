import Bytes
import Testing

@testable import RateLimiting

struct EndpointPatternTests {
    @Test(arguments: ["", "a", "*", "a/b", "/a*b", "/*/a", "/a/**", "/a*/*"])
    func refuses(_ text: String) { #expect(EndpointPattern(text) == nil) }

    @Test func hasABoundedNumberOfSegments() {
        #expect(EndpointPattern(String(repeating: "/a", count: EndpointPattern.mostSegments)) != nil)
        #expect(EndpointPattern(String(repeating: "/a", count: EndpointPattern.mostSegments + 1)) == nil)
    }

    /// To the letter, and folded.
    @Test(arguments: [
        ("/a", "/a", true, true), ("/a", "/a/", false, true), ("/a", "/A", false, true), ("/a/", "/a/", true, true),
        ("/a/", "/a", false, true), ("/A/{x}", "/A/y", true, true), ("/A/{x}", "/a/Y/", false, true),
        ("/a/{x}", "/a/", false, false), ("/a/*", "/a/b/c", true, true), ("/a/*", "/a", false, true),
        ("/a/B*", "/a/Bc/d", true, true), ("/a/B*", "/a/bc", false, true), ("/", "/", true, true),
        ("/*", "/", true, true), ("/a", "/b", false, false), ("/a", "/a/b", false, false), ("/a/b", "/a", false, false),
        ("/a", "", false, false),
    ])
    func matches(_ text: String, _ path: String, _ isExact: Bool, _ isFolded: Bool) throws {
        let pattern = try #require(EndpointPattern(text))
        #expect(path.withByteView { pattern.matches($0) } == isExact)
        var index = EndpointIndex()
        index.insert(pattern.folded, rule: 1)
        var found: [Int32] = []
        let texts = RequestTexts()
        withExtendedLifetime(texts) { index.find(texts.endpoint(path).folded, &found) }
        #expect((found == [1]) == isFolded)
    }

    /// Each pattern is more specific than the one after it, among those that match `/a/b/c`.
    @Test func specificityOrdersPatterns() {
        let ordered = [
            "/a/b/c", "/a/b/{x}", "/a/{x}/:y", "/{x}/{y}/{z}", "/a/b/c*", "/a/b/*", "/a/{x}/*", "/a/*", "/{x}/*", "/a*",
            "/*",
        ]
        for (more, less) in zip(ordered, ordered.dropFirst()) {
            #expect(EndpointPattern(more)!.specificity > EndpointPattern(less)!.specificity, "\(more) over \(less)")
        }
    }
}

struct EndpointIndexTests {
    @Test(arguments: [
        ("/a/b", ["/a/b", "/a/{x}", "/{x}/b", "/a/*", "/*", "/a*", "/a/b*"]), ("/a", ["/*", "/a*", "/{x}", "/a/*"]),
        ("/a/", ["/*", "/a*", "/a/*"]), ("/", ["/*", "/"]), ("/abc", ["/*", "/a*", "/{x}"]), ("", []), ("a/b", []),
        ("//b", ["/*"]),
    ])
    func finds(_ path: String, _ expected: [String]) {
        let patterns = ["/a/b", "/a/{x}", "/{x}/b", "/a/*", "/*", "/a*", "/a/b*", "/", "/{x}"]
        var index = EndpointIndex()
        for (i, text) in patterns.enumerated() { index.insert(EndpointPattern(text), rule: Int32(i)) }
        let found = find(path, index).map { patterns[$0] }
        #expect(found.sorted() == expected.sorted())
    }

    @Test func rulesForAnyEndpointMatchEvenNone() {
        var index = EndpointIndex()
        index.insert(nil, rule: 7)
        for path in ["", "x", "/x"] {
            #expect(find(path, index) == [7])
        }
    }

    /// The tree finds exactly the patterns that match one by one, each once.
    @Test(arguments: Array(1...20) as [UInt64])
    func agreesWithMatchingEachPatternAlone(_ seed: UInt64) {
        var random = SplitMix64(seed)
        let words = ["a", "b", "ab", "", "é", "x.y"]
        var patterns: [String] = []
        for _ in 0..<60 {
            var parts = (0..<random.below(5)).map { _ in
                random.below(4) == 0 ? random.element(["{id}", ":id"]) : random.element(words)
            }
            if random.below(3) == 0 { parts.append(random.element(["", "a", "ab"]) + "*") }
            patterns.append("/" + parts.joined(separator: "/"))
        }
        var index = EndpointIndex()
        for (i, text) in patterns.enumerated() { index.insert(EndpointPattern(text)!, rule: Int32(i)) }
        for _ in 0..<500 {
            let path = "/" + (0..<random.below(6)).map { _ in random.element(words) }.joined(separator: "/")
            let found = find(path, index)
            let expected = patterns.indices.filter { naive(patterns[$0], path) }
            guard found.sorted() == expected else {
                Issue.record("seed \(seed), \(path): \(found.sorted()), not \(expected)")
                return
            }
        }
    }

    @Test func deepPathsStillMatchTheirBeginning() {
        var index = EndpointIndex()
        index.insert(EndpointPattern("/a/*"), rule: 1)
        index.insert(EndpointPattern(String(repeating: "/a", count: 64)), rule: 2)
        index.insert(EndpointPattern(String(repeating: "/a", count: 64) + "/*"), rule: 3)
        func found(_ count: Int) -> [Int] { find(String(repeating: "/a", count: count), index).sorted() }
        #expect(found(64) == [1, 2, 3])
        #expect(found(65) == [1, 3])
        #expect(found(1000) == [1, 3])
    }

    private func find(_ path: String, _ index: EndpointIndex) -> [Int] {
        var found: [Int32] = []
        path.withByteView { index.find($0, &found) }
        return found.map(Int.init)
    }

    /// By the definition in `EndpointPattern`, on strings.
    private func naive(_ pattern: String, _ path: String) -> Bool {
        var wanted = pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let given = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        var prefix: String?
        if wanted.last!.hasSuffix("*") { prefix = String(wanted.removeLast().dropLast()) }
        // `/a` is `/a/`, whose rest is empty.
        let isWithoutRest = prefix == nil || prefix == "" && given.count == wanted.count
        guard isWithoutRest ? given.count == wanted.count : given.count > wanted.count else { return false }
        for (want, have) in zip(wanted, given) {
            let isParameter = want == "{id}" || want == ":id"
            guard isParameter ? !have.isEmpty : want == have else { return false }
        }
        guard let prefix, !isWithoutRest else { return true }
        return given[wanted.count...].joined(separator: "/").hasPrefix(prefix)
    }
}

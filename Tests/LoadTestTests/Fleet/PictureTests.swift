import Testing

@testable import LoadTest

struct PictureTests {
    private func picture(_ seconds: [SecondsLog.Second], _ faults: [TimelineSVG.Fault] = []) -> String {
        TimelineSVG(title: "80 < 90 & \"more\"", seconds: seconds, faults: faults).text
    }

    /// Every element that begins ends, in order, and attributes are quoted. Not a parser, but no picture that a browser
    /// refuses passes.
    private func isWellFormed(_ text: String) -> Bool {
        var open: [String] = []
        var rest = text[...]
        while let start = rest.firstIndex(of: "<") {
            guard rest[..<start].allSatisfy({ $0 != ">" }), let end = rest[start...].firstIndex(of: ">") else {
                return false
            }
            let tag = rest[rest.index(after: start)..<end]
            guard !tag.contains("<"), tag.count(where: { $0 == "\"" }) % 2 == 0 else { return false }
            if tag.hasPrefix("/") {
                guard open.popLast() == String(tag.dropFirst()) else { return false }
            } else if !tag.hasSuffix("/") {
                open.append(String(tag.prefix { $0 != " " && $0 != "\n" }))
            }
            rest = rest[rest.index(after: end)...]
        }
        return open.isEmpty && !rest.contains(">")
    }

    @Test func isWellFormedWhateverHappened() {
        let busy = (0..<30).map {
            SecondsLog.Second(
                answers: $0 % 7 == 0 ? 0 : 100, p50Us: 500, p99Us: Int64($0) * 1000, maxUs: 3_000_000, errors: $0 % 4)
        }
        let faults = [
            TimelineSVG.Fault(atSeconds: 2, label: "kill server-1"),
            TimelineSVG.Fault(atSeconds: 28.5, label: "a <b> & \"c\""),
        ]
        let text = picture(busy, faults)
        #expect(isWellFormed(text), "\(text)")
        #expect(text.contains("a &lt;b&gt; &amp; &quot;c&quot;") && text.contains("80 &lt; 90 &amp;"))
        #expect(text.contains("prefers-color-scheme: dark") && !text.contains("<script"))
        #expect(text.components("class=\"error\"") == 1 + busy.count { $0.errors > 0 })
        #expect(!text.contains("nan") && !text.contains("inf"))
        for nothing in [[], [SecondsLog.Second()]] { #expect(isWellFormed(picture(nothing))) }
    }

    /// Where there were no answers the line is broken, not drawn through.
    @Test func anOutageIsAGap() {
        let up = SecondsLog.Second(answers: 9, p50Us: 1000, p99Us: 2000, maxUs: 4000, errors: 0)
        let text = picture([up, up, .init(answers: 0, p50Us: 0, p99Us: 0, maxUs: 0, errors: 5), up])
        let line = text.split(separator: "\n").first { $0.contains("class=\"p50\" stroke") } ?? ""
        #expect(line.count { $0 == "M" } == 2 && line.count { $0 == "L" } == 1, "\(line)")
    }

    @Test func tablesAreAligned() {
        let text = Aligned.table([["law", "n"], ["a long one", "1"], ["≤", "1,000"]])
        #expect(
            text == "| law        |     n |\n|------------|------:|\n| a long one |     1 |\n| ≤          | 1,000 |\n")
    }
}

extension String {
    fileprivate func components(_ word: String) -> Int {
        var count = 0
        var rest = self[...]
        while let found = rest.firstRange(of: word) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}

import Testing

@testable import Application

struct TextTableTests {
    @Test func columnsAreAlignedAndNoLineEndsInSpaces() {
        let table = TextTable(
            [.text("ID"), .words("NAME"), .number("COUNT"), .text("LAST")],
            [["a-1", "long name", "7", ""], ["b", "", "1000", "now"], ["cc", "x", "", "1s ago"]])
        #expect(
            table.text() == """
                ID   NAME       COUNT  LAST
                a-1  long name      7
                b                1000  now
                cc   x                 1s ago
                """)
    }

    @Test func columnsWithoutAnythingAreLeftOut() {
        let table = TextTable([.text("A"), .number("B"), .text("C")], [["1", "", "2"], ["3", "", "4"]])
        #expect(table.text() == "A  C\n1  2\n3  4")
    }

    @Test func pairsHaveNoTitles() {
        #expect(TextTable(pairs: [("id", "x"), ("longer", "y z")]).text(width: 10) == "id      x\nlonger  y z")
    }

    @Test func aNarrowTerminalCutsWordsAndNothingElse() {
        let table = TextTable(
            [.text("ID"), .words("NAME"), .words("ERROR"), .number("N")],
            [
                ["default-000000000001", "a name of twenty-two..", "short", "1"],
                ["default-000000000002", "b", "", "12345"],
            ])
        // ID, three gaps, ERROR and N leave 12.
        #expect(
            table.text(width: 48) == """
                ID                    NAME          ERROR      N
                default-000000000001  a name of t…  short      1
                default-000000000002  b                    12345
                """)
        #expect(table.text(width: 1000) == table.text())
        // Ids stay whole, whatever the width; words keep a few letters.
        for line in table.text(width: 10).split(separator: "\n").dropFirst() {
            #expect(line.hasPrefix("default-00000000000"))
        }
        #expect(table.text(width: 10).contains("a name …"))
    }

    @Test func theWidestColumnGivesFirst() {
        let table = TextTable(
            [.words("A"), .words("B")],
            [[String(repeating: "a", count: 30), String(repeating: "b", count: 12)]])
        #expect(table.text(width: 30).split(separator: "\n")[1] == "aaaaaaaaaaaaaaa…  bbbbbbbbbbbb")
    }

    @Test func controlCharactersCannotReachATerminal() {
        let table = TextTable([.text("A"), .text("B")], [["a\u{1B}[31m\nb\r\tc", "x\u{9B}y\u{7F}z"]])
        #expect(table.text() == "A            B\na [31m b  c  x y z")
    }

    @Test(arguments: [("abc", 3), ("日本", 4), ("é", 1), ("e\u{301}", 1), ("👍", 2), ("한글x", 5), ("", 0)])
    func wideCharactersCountTwice(_ text: String, _ width: Int) {
        #expect(DisplayText.width(text) == width)
    }

    @Test func wideCharactersAreCutWhole() {
        #expect(DisplayText.cut("日本語です", to: 6) == "日本…")
        #expect(DisplayText.cut("日本", to: 4) == "日本")
        let table = TextTable([.text("A"), .text("B")], [["日本", "x"], ["ab", "y"]])
        #expect(table.text() == "A     B\n日本  x\nab    y")
    }
}

struct TimeTextTests {
    @Test(arguments: [
        (0, "now"), (999, "now"), (-999, "now"), (1000, "in 1s"), (-1000, "1s ago"), (-59_999, "59s ago"),
        (60_000, "in 1m"), (-3_599_999, "59m ago"), (3_600_000, "in 1h"), (-86_400_000, "1d ago"),
        (30 * 86_400_000, "in 30d"), (30 * 86_400_000 + 1, "2024-03-01"), (-31 * 86_400_000, "2023-12-31"),
    ])
    func momentsAreToldFromNow(_ afterMs: Int, _ text: String) {
        // 2024-01-31T00:00:00Z
        let nowMs = 1_706_659_200_000
        #expect(TimeText.relative(nowMs + afterMs, nowMs: nowMs) == text)
    }

    @Test(arguments: [
        (0, "0ms"), (999, "999ms"), (1000, "1s"), (1099, "1s"), (1100, "1.1s"), (59_999, "59.9s"), (60_000, "1m"),
        (61_000, "1m 1s"), (3_600_000, "1h"), (7_380_000, "2h 3m"), (86_400_000, "1d"), (439_200_000, "5d 2h"),
    ])
    func durationsAreShort(_ ms: Int, _ text: String) {
        #expect(TimeText.duration(ms) == text)
    }

    @Test(arguments: [
        (0, "0B"), (9999, "9999B"), (65_536, "64KiB"), (25_165_824, "24MiB"), (2_147_483_648, "2048MiB"),
        (21_474_836_480, "20GiB"),
    ])
    func bytesHaveAUnit(_ count: Int, _ text: String) {
        #expect(TimeText.bytes(count) == text)
    }

    @Test func textsAreReadBack() {
        #expect(TimeText.ms("2024-01-31T00:00:00.123Z") == 1_706_659_200_123)
        #expect(TimeText.ms("") == nil)
    }
}

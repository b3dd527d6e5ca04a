import Bytes
import TestSupport
import Testing

@testable import Inventory

/// Values between commas, as people and spreadsheets write them.
struct CSVReaderTests {
    private func rows(_ bytes: [UInt8]) -> [CSVReader.Row] {
        bytes.withByteView { view in
            var reader = CSVReader(view)
            var rows: [CSVReader.Row] = []
            while let row = reader.next() { if row != .unfinished { rows.append(row) } }
            return rows
        }
    }

    private func rows(_ text: String) -> [CSVReader.Row] { rows(Array(text.utf8)) }

    @Test func cellsMayStandInQuotes() {
        #expect(
            rows("a,b\r\nc,\n\n,d") == [
                .cells(line: 1, ["a", "b"]), .cells(line: 2, ["c", ""]), .cells(line: 4, ["", "d"]),
            ])
        #expect(rows("\"a,\"\"b\"\"\nc\",d\ne") == [.cells(line: 1, ["a,\"b\"\nc", "d"]), .cells(line: 3, ["e"])])
        #expect(rows("\u{FEFF}a\n") == [.cells(line: 1, ["a"])])
        #expect(
            rows("a\n\"b\"c,d\ne\n5\" pipe\n\"f") == [
                .cells(line: 1, ["a"]), .broken(lines: 2...2, .quotes), .cells(line: 3, ["e"]),
                .cells(line: 4, ["5\" pipe"]), .broken(lines: 5...5, .openQuotes),
            ])
    }

    @Test(arguments: ["\n", "\r\n", "\r"]) func linesEndAsTheFirstOne(_ end: String) {
        let text = ["a,b", "1,\"x\(end)y\"", "2,z"].joined(separator: end)
        let whole: [CSVReader.Row] = [
            .cells(line: 1, ["a", "b"]), .cells(line: 2, ["1", "x\(end)y"]), .cells(line: 4, ["2", "z"]),
        ]
        #expect(rows(text) == whole && rows(text + end) == whole && rows(text + end + end) == whole)
    }

    @Test func aReturnAloneIsRefused() {
        #expect(
            rows("a,b\nx\ry,2\nz,3\n") == [
                .cells(line: 1, ["a", "b"]), .broken(lines: 2...2, .loneReturn), .cells(line: 3, ["z", "3"]),
            ])
        #expect(
            rows("a,b\r\nx,1\ry,2\r\nz,3\r\n").dropFirst() == [
                .broken(lines: 2...2, .loneReturn), .cells(line: 3, ["z", "3"]),
            ])
    }

    /// All that the quotes have swallowed is named.
    @Test func quotesThatAreNeverClosedAreToldWithTheirLines() {
        #expect(
            rows("a,b\n1,2\n\"x,1\ny,2\nz,3\n") == [
                .cells(line: 1, ["a", "b"]), .cells(line: 2, ["1", "2"]), .broken(lines: 3...5, .openQuotes),
            ])
        #expect(
            rows("a,b\n\"x,1\ny,\"z\"\nq,3\n") == [
                .cells(line: 1, ["a", "b"]), .broken(lines: 2...3, .quotes), .cells(line: 4, ["q", "3"]),
            ])
    }

    @Test func whatIsNotUTF8IsRefused() {
        let (start, middle, end) = ("a,b\nGr", "e,\"x\ny\"\nok,\"", "\"\nz,1")
        let latin = Array(start.utf8) + [0xF6, 0xDF] + Array(middle.utf8) + [0xFC] + Array(end.utf8)
        #expect(
            rows(latin) == [
                .cells(line: 1, ["a", "b"]), .broken(lines: 2...3, .encoding), .broken(lines: 4...4, .encoding),
                .cells(line: 5, ["z", "1"]),
            ])
    }

    @Test func semicolonsAndTabsSeparateToo() {
        #expect(rows("a;b\n1;2,5\n") == [.cells(line: 1, ["a", "b"]), .cells(line: 2, ["1", "2,5"])])
        #expect(rows("a\tb\n1\t\n") == [.cells(line: 1, ["a", "b"]), .cells(line: 2, ["1", ""])])
        #expect(rows("\"a;;\",b\n;,2") == [.cells(line: 1, ["a;;", "b"]), .cells(line: 2, [";", "2"])])
    }

    @Test func blanksAroundCellsAreNone() {
        #expect(
            rows(" a , \"b\" \n  1 2\t,\" x \"") == [.cells(line: 1, ["a", "b"]), .cells(line: 2, ["1 2", " x "])])
    }

    @Test func whatIsTooLongIsPassedOverInParts() {
        let long = String(repeating: "x", count: 1 << 20)
        for (text, fault) in [("a\n\(long)\nb", CSVReader.Fault.length), ("a\n\"\(long)\n\"\nb", .length)] {
            let read = rows(text)
            #expect(read.count == 3 && read.first == .cells(line: 1, ["a"]))
            if case .broken(_, let found) = read[1] { #expect(found == fault) } else { Issue.record("\(read[1])") }
            if case .cells(_, let cells) = read[2] { #expect(cells == ["b"]) } else { Issue.record("\(read[2])") }
        }
        for text in [long, "\"" + long, String(repeating: "\n", count: 1 << 20)] {
            ("a\n" + text).withByteView { view in
                var reader = CSVReader(view)
                _ = reader.next()
                #expect(reader.next() == .unfinished)
            }
        }
    }

    /// Whatever the bytes are, reading ends, lines go up, and every line is that of a row, refused, or empty.
    @Test func anythingIsReadToItsEnd() {
        var random = SeededRandom(seed: 7)
        let alphabet = Array("\"\",;\n\r\n\t x'é".utf8)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in alphabet.randomElement(using: &random)!
            }
            var last = 0
            for row in rows(bytes) {
                switch row {
                case .cells(let line, let cells):
                    #expect(line > last && !cells.isEmpty)
                    last = line
                case .broken(let lines, _):
                    #expect(lines.lowerBound > last)
                    last = lines.upperBound
                case .unfinished: break
                }
            }
        }
    }

    // MARK: Writing

    private func written(_ cells: [String]) -> String {
        let buffer = ByteBuffer()
        CSV.append(cells.map { .text($0) }, to: buffer)
        return buffer.view.string
    }

    @Test func whatIsWrittenIsRead() {
        let cells = ["plain", "a,b", "a\"b", "two\nlines", "", "é\r\n", " blanks\t", "\"", "'", "''", "x"]
        #expect(rows(written(cells)) == [.cells(line: 1, cells)])
    }

    /// As OWASP has it: an apostrophe in front, which spreadsheets do not show.
    @Test(arguments: ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "-"])
    func formulasAreNeutral(_ text: String) {
        let line = written([text, "'" + text, "''" + text])
        #expect(rows(line) == [.cells(line: 1, ["'" + text, "''" + text, "'''" + text])])
        guard case .cells(_, let cells)? = rows(line).first else { return }
        #expect(cells.map(CSV.read) == [text, "'" + text, "''" + text])
        #expect(CSV.read(text) == text)
    }

    @Test func numbersAreNoFormulas() {
        let buffer = ByteBuffer()
        CSV.append([.number(-5), .empty, .text("a=b"), .text("it's")], to: buffer)
        #expect(buffer.view.string == "-5,,a=b,it's\r\n")
    }
}

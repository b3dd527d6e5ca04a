import Bytes
import HTTP
import JSON
import Services

/// How a list is written in a file.
enum TableFormat: String, CaseIterable {
    case csv
    /// One JSON object a line.
    case ndjson

    /// As `?format=` says it, or the type of the body.
    init(_ exchange: Exchange, ofBody: Bool) throws {
        if let word = exchange.queryItem("format") {
            guard let format = TableFormat(rawValue: word) else {
                throw Problem.field("format", "must be one of csv, ndjson")
            }
            self = format
            return
        }
        guard ofBody, let type = exchange.header("content-type") else {
            self = .csv
            return
        }
        let media = type.slice(0, type.firstIndex(of: UInt8(ascii: ";")) ?? type.count).trimmed
        if media.equalsIgnoringCase("text/csv") {
            self = .csv
        } else if media.equalsIgnoringCase("application/x-ndjson") || media.equalsIgnoringCase("application/ndjson") {
            self = .ndjson
        } else {
            throw Problem(.unsupportedMediaType, "the body must be text/csv or application/x-ndjson")
        }
    }

    var contentType: StaticString { self == .csv ? "text/csv; charset=utf-8" : "application/x-ndjson" }
}

/// Reads the lines of a file as JSON objects.
struct TableReader {
    /// What the columns of a file in CSV are.
    struct Columns {
        /// Cells that are numbers; others are text.
        var numbers: Set<String>
        var texts: Set<String>
        /// What an export has and an import has no use for.
        var ignored: Set<String>

        /// By how they are looked for: in a file in CSV their case does not matter.
        var byLowercase: [String: String] {
            let all = numbers.union(texts).union(ignored)
            return Dictionary(all.map { ($0.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    enum Line {
        case row(line: Int, JSONValue)
        case bad(line: Int, Fault)
        /// Nothing yet: no call takes long. Call again.
        case unfinished
    }

    /// Why a line was not taken. Its text is made when it is asked for: a file may have millions of such lines.
    enum Fault {
        case csv(lines: ClosedRange<Int>, CSVReader.Fault)
        case cells(Int, columns: Int)
        case nameless(column: Int)
        case json(JSONError)
        case noObject
        case length
    }

    private enum Source {
        case csv(CSVReader)
        case ndjson
    }

    static let longestObject = 262_144

    private let columns: Columns
    private var source: Source
    /// nil: a column without a name, as the end of a line of a spreadsheet may have.
    private var names: [String?] = []
    private let text: ByteView
    private var at = 0
    private var line = 0

    /// - Throws: what is wrong with the first line of a file in CSV, which names the columns.
    init(_ text: ByteView, _ format: TableFormat, _ columns: Columns) throws(Problem) {
        // The byte order marks of UTF-16.
        if text.count >= 2, (text[0], text[1]) == (0xFF, 0xFE) || (text[0], text[1]) == (0xFE, 0xFF) {
            throw Problem(.invalidRequest, "the file is UTF-16; it must be UTF-8")
        }
        self.text = text
        self.columns = columns
        source = .ndjson
        if text.hasPrefix("\u{FEFF}") { at = 3 }
        guard format == .csv else { return }
        var reader = CSVReader(text)
        names = try TableReader.header(&reader, columns)
        source = .csv(reader)
    }

    private static func header(_ reader: inout CSVReader, _ columns: Columns) throws(Problem) -> [String?] {
        switch reader.next() {
        case .cells(_, let cells)?:
            let known = columns.byLowercase
            var names: [String?] = []
            for cell in cells {
                guard !cell.isEmpty else {
                    names.append(nil)
                    continue
                }
                guard let name = known[cell.lowercased()] else {
                    let all = known.values.sorted().joined(separator: ", ")
                    throw .field(String(cell.prefix(80)), "is no column that is known here: they are \(all)")
                }
                guard !names.contains(name) else { throw .field(name, "names two columns") }
                names.append(name)
            }
            return names
        case .broken(_, let fault)?:
            throw Problem(.invalidRequest, "the first line, which names the columns, cannot be read: \(fault.detail)")
        case .unfinished?, nil: throw Problem(.invalidRequest, "the first line must name the columns")
        }
    }

    mutating func next() -> Line? {
        switch source {
        case .ndjson: return nextObject()
        case .csv(var reader):
            // Nothing else may hold it while it is changed, or it would be copied.
            source = .ndjson
            defer { source = .csv(reader) }
            return nextRow(&reader)
        }
    }

    // MARK: CSV

    private func nextRow(_ reader: inout CSVReader) -> Line? {
        switch reader.next() {
        case nil: nil
        case .unfinished?: .unfinished
        case .broken(let lines, let fault)?: .bad(line: lines.lowerBound, .csv(lines: lines, fault))
        case .cells(let line, let cells)?: row(line, cells)
        }
    }

    private func row(_ line: Int, _ cells: [String]) -> Line {
        // Spreadsheets write rows without anything, and columns.
        let count = 1 + (cells.lastIndex { !$0.isEmpty } ?? -1)
        if count == 0 { return .unfinished }
        guard count <= names.count, cells.count >= names.count else {
            return .bad(line: line, .cells(cells.count, columns: names.count))
        }
        var members: [JSONValue.Member] = []
        for (i, cell) in cells.prefix(count).enumerated() where !cell.isEmpty {
            guard let name = names[i] else { return .bad(line: line, .nameless(column: i + 1)) }
            if columns.ignored.contains(name) { continue }
            let text = CSV.read(cell)
            let number = columns.numbers.contains(name) ? TableReader.number(text) : nil
            members.append(.init(name, number.map { .int($0) } ?? .string(text)))
        }
        return .row(line: line, .object(members))
    }

    private static func number(_ text: String) -> Int? {
        text.withByteView { Int(String(decoding: $0.trimmed.buffer, as: UTF8.self)) }
    }

    // MARK: NDJSON

    private mutating func nextObject() -> Line? {
        let limit = at + TableReader.longestObject
        while at < text.count {
            guard at < limit else { return .unfinished }
            let end = text.firstIndex(of: 0x0A, from: at) ?? text.count
            let part = text.slice(at, end).trimmed
            at = end + 1
            line += 1
            if part.isEmpty || part == "\r" { continue }
            return object(part)
        }
        return nil
    }

    private func object(_ part: ByteView) -> Line {
        guard part.count <= TableReader.longestObject else { return .bad(line: line, .length) }
        do throws(JSONError) {
            guard case .object(let members) = try JSONValue(parsing: part) else {
                return .bad(line: line, .noObject)
            }
            return .row(line: line, .object(members.filter { !columns.ignored.contains($0.key) }))
        } catch { return .bad(line: line, .json(error)) }
    }
}

extension TableReader.Fault {
    var problem: Problem {
        switch self {
        case .csv(let lines, let fault):
            let place = lines.count > 1 ? "lines \(lines.lowerBound) to \(lines.upperBound) were not taken: " : ""
            return Problem(.invalidRequest, place + fault.detail)
        case .cells(let count, let columns):
            return Problem(.invalidRequest, "there are \(count) cells, and \(columns) columns")
        case .nameless(let column):
            return Problem(.invalidRequest, "there is something in column \(column), which has no name")
        case .noObject: return Problem(.invalidRequest, "the line must be a JSON object")
        case .length:
            return Problem(.invalidRequest, "the line is longer than \(TableReader.longestObject) bytes")
        case .json(let error):
            let detail = "the line is not the JSON that is expected: \(error.description)"
            return Problem(.invalidRequest, detail, field: error.field)
        }
    }
}

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

/// Why a line was not taken.
struct TableError {
    var line: Int
    var problem: Problem

    /// At most so many are told.
    static let most = 1000

    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("line", .int(line)), .init("error", .string(problem.detail))]
        if let field = problem.field { members.append(.init("field", .string(field))) }
        return .object(members)
    }
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
    }

    struct Line {
        var number: Int
        var row: Result<JSONValue, Problem>
    }

    private let columns: Columns
    private var csv: CSVReader?
    private var names: [String] = []
    private let text: ByteView
    private var at = 0
    private var line = 0

    /// - Throws: what is wrong with the first line of a file in CSV, which names the columns.
    init(_ text: ByteView, _ format: TableFormat, _ columns: Columns) throws(Problem) {
        self.text = text
        self.columns = columns
        guard format == .csv else { return }
        var reader = CSVReader(text)
        guard case .cells(_, let names)? = reader.next() else {
            throw Problem(.invalidRequest, "the first line must name the columns")
        }
        let known = columns.numbers.union(columns.texts).union(columns.ignored)
        if let name = names.first(where: { !known.contains($0) }) {
            throw .field(name, "is no column that is known here")
        }
        guard Set(names).count == names.count else { throw Problem(.invalidRequest, "a column occurs twice") }
        self.names = names
        csv = reader
    }

    mutating func next() -> Line? { csv != nil ? nextRow() : nextObject() }

    private mutating func nextRow() -> Line? {
        switch csv!.next() {
        case nil: return nil
        case .broken(let line, let detail): return Line(number: line, row: .failure(Problem(.invalidRequest, detail)))
        case .cells(let line, let cells):
            guard cells.count == names.count else {
                let problem = Problem(.invalidRequest, "there are \(cells.count) cells, and \(names.count) columns")
                return Line(number: line, row: .failure(problem))
            }
            let members = zip(names, cells).compactMap { name, cell -> JSONValue.Member? in
                if cell.isEmpty || columns.ignored.contains(name) { return nil }
                let number = columns.numbers.contains(name) ? Int(cell) : nil
                return .init(name, number.map { .int($0) } ?? .string(cell))
            }
            return Line(number: line, row: .success(.object(members)))
        }
    }

    private mutating func nextObject() -> Line? {
        while at < text.count {
            let end = text.firstIndex(of: 0x0A, from: at) ?? text.count
            let part = text.slice(at, end).trimmed
            at = end + 1
            line += 1
            if part.isEmpty || part == "\r" { continue }
            do throws(JSONError) {
                let value = try JSONValue(parsing: part)
                guard case .object(let members) = value else {
                    return Line(number: line, row: .failure(Problem(.invalidRequest, "the line must be a JSON object")))
                }
                let used = members.filter { !columns.ignored.contains($0.key) }
                return Line(number: line, row: .success(.object(used)))
            } catch {
                let detail = "the line is not the JSON that is expected: \(error.description)"
                return Line(number: line, row: .failure(Problem(.invalidRequest, detail, field: error.field)))
            }
        }
        return nil
    }
}

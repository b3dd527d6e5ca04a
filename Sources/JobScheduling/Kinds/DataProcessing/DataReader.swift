import Bytes
import JSON

/// Rows of a text, one after the other.
struct DataReader {
    enum Format: String, CaseIterable, Sendable { case ndjson, csv }

    /// What stands in one line, or, where a quoted value has line ends, in several.
    struct Record: Equatable {
        /// Where it begins; the first line is 1.
        let line: Int
        let row: Result<DataRow, RowError>
    }

    static let mostFields = 256

    private let bytes: [UInt8]
    private let format: Format
    private let delimiter: UInt8
    private var at = 0
    private var line = 1
    private var names: [String] = []

    /// - Throws: when there is no first line with names (CSV), or they cannot be names.
    init(_ bytes: [UInt8], _ format: Format, delimiter: UInt8) throws(RowError) {
        self.bytes = bytes
        self.format = format
        self.delimiter = delimiter
        // Windows programs begin UTF-8 with a mark.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        if format == .csv { try readNames() }
    }

    /// The next row; nil at the end. Empty lines are no rows.
    mutating func next() -> Record? {
        while at < bytes.count {
            let start = line
            switch format {
            case .ndjson:
                let range = restOfLine()
                if bytes[range].allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { continue }
                return Record(line: start, row: DataReader.object(bytes[range]))
            case .csv:
                if isAtLineEnd {
                    _ = restOfLine()
                    continue
                }
                return Record(line: start, row: csvRow())
            }
        }
        return nil
    }

    // MARK: Lines

    /// The bytes up to the line's end, which is passed.
    private mutating func restOfLine() -> Range<Int> {
        let start = at
        let end = bytes[at...].firstIndex(of: 0x0A) ?? bytes.count
        at = min(end + 1, bytes.count)
        if end < bytes.count { line += 1 }
        return start..<(end > start && bytes[end - 1] == 0x0D ? end - 1 : end)
    }

    private var isAtLineEnd: Bool {
        bytes[at] == 0x0A || bytes[at] == 0x0D && (at + 1 == bytes.count || bytes[at + 1] == 0x0A)
    }

    // MARK: NDJSON

    private static func object(_ text: ArraySlice<UInt8>) -> Result<DataRow, RowError> {
        do {
            let value = try Array(text).withByteView { view throws(JSONError) in try JSONValue(parsing: view) }
            guard case .object(let members) = value else { return .failure(RowError("must be a JSON object")) }
            guard members.count <= mostFields else {
                return .failure(RowError("has more than \(mostFields) fields"))
            }
            return .success(DataRow(fields: members))
        } catch { return .failure(RowError("\(error)")) }
    }

    // MARK: CSV (RFC 4180)

    private mutating func readNames() throws(RowError) {
        while at < bytes.count, isAtLineEnd { _ = restOfLine() }
        guard at < bytes.count else { throw RowError("the first line must name the fields") }
        let names = try cells()
        guard names.count <= DataReader.mostFields else {
            throw RowError("has more than \(DataReader.mostFields) fields")
        }
        guard names.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 128 }) else {
            throw RowError("the first line must name the fields, each with 1 to 128 bytes")
        }
        guard Set(names).count == names.count else { throw RowError("the first line names a field twice") }
        self.names = names
    }

    private mutating func csvRow() -> Result<DataRow, RowError> {
        do {
            let cells = try cells()
            guard cells.count == names.count else {
                return .failure(RowError("has \(cells.count) values where \(names.count) fields are named"))
            }
            // An empty value is an absent one.
            var row = DataRow()
            for (name, cell) in zip(names, cells) where !cell.isEmpty {
                row.fields.append(.init(name, .string(cell)))
            }
            return .success(row)
        } catch { return .failure(error) }
    }

    /// The values of a record, whose end is passed, also when it is malformed.
    private mutating func cells() throws(RowError) -> [String] {
        var cells: [String] = []
        var isText = true
        while true {
            let (bytes, isLast) = try cell()
            // Their number is checked afterwards; a value per byte would be no use to anybody.
            if cells.count <= DataReader.mostFields {
                let cell = String(validating: bytes, as: UTF8.self)
                isText = isText && cell != nil
                cells.append(cell ?? "")
            }
            guard isLast else { continue }
            if !isText { throw RowError("is not UTF-8") }
            return cells
        }
    }

    private mutating func cell() throws(RowError) -> (bytes: ArraySlice<UInt8>, isLast: Bool) {
        if at < bytes.count, bytes[at] == 0x22 { return try quotedCell() }
        let start = at
        while at < bytes.count, bytes[at] != delimiter, bytes[at] != 0x0A {
            if bytes[at] == 0x22 {
                _ = restOfLine()
                throw RowError("has a quote inside a value that is not quoted")
            }
            at += 1
        }
        let isLast = at == bytes.count || bytes[at] == 0x0A
        let end = isLast && at > start && bytes[at - 1] == 0x0D ? at - 1 : at
        pass(isLast: isLast)
        return (bytes[start..<end], isLast)
    }

    private mutating func quotedCell() throws(RowError) -> (bytes: ArraySlice<UInt8>, isLast: Bool) {
        var value: [UInt8] = []
        let first = line
        at += 1
        while true {
            guard at < bytes.count else { throw RowError("has a quote that is not closed, from line \(first) on") }
            let byte = bytes[at]
            at += 1
            if byte == 0x22 {
                guard at < bytes.count, bytes[at] == 0x22 else { break }
                at += 1
            } else if byte == 0x0A {
                line += 1
            }
            value.append(byte)
        }
        if at + 1 < bytes.count, bytes[at] == 0x0D, bytes[at + 1] == 0x0A { at += 1 }
        if at + 1 == bytes.count, bytes[at] == 0x0D { at += 1 }
        let isLast = at == bytes.count || bytes[at] == 0x0A
        guard isLast || bytes[at] == delimiter else {
            _ = restOfLine()
            throw RowError("has text behind a closing quote")
        }
        pass(isLast: isLast)
        return (value[...], isLast)
    }

    /// Goes behind the delimiter or the line's end.
    private mutating func pass(isLast: Bool) {
        if at < bytes.count { at += 1 }
        if isLast, at <= bytes.count, at > 0, bytes[at - 1] == 0x0A { line += 1 }
    }
}

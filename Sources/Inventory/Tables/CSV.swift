import Bytes

/// Reads comma-separated values (RFC 4180) row by row: cells may stand in quotes, and hold commas, quotes (doubled) and
/// line breaks then. Lines end in LF or CR LF; empty ones are passed over.
struct CSVReader {
    enum Row: Equatable {
        case cells(line: Int, [String])
        /// What cannot be read, and why; the next row is on the next line.
        case broken(line: Int, String)
    }

    private let text: ByteView
    private var at = 0
    private var line = 1

    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")

    init(_ text: ByteView) {
        self.text = text
        // A byte order mark, as spreadsheets write it.
        if text.count >= 3, text[0] == 0xEF, text[1] == 0xBB, text[2] == 0xBF { at = 3 }
    }

    mutating func next() -> Row? {
        while at < text.count, text[at] == 0x0A || text[at] == 0x0D {
            if text[at] == 0x0A { line += 1 }
            at += 1
        }
        guard at < text.count else { return nil }
        let first = line
        var cells: [String] = []
        while true {
            guard let cell = cell() else {
                skipLine()
                return .broken(line: first, "a cell's quotes are not closed as they should be")
            }
            cells.append(cell)
            guard at < text.count, text[at] == CSVReader.comma else { break }
            at += 1
        }
        skipLine()
        return .cells(line: first, cells)
    }

    private mutating func cell() -> String? {
        guard at < text.count, text[at] == CSVReader.quote else {
            let start = at
            while at < text.count, text[at] != CSVReader.comma, text[at] != 0x0A, text[at] != 0x0D { at += 1 }
            return text.slice(start, at).string
        }
        at += 1
        var bytes: [UInt8] = []
        while at < text.count {
            let byte = text[at]
            at += 1
            if byte == CSVReader.quote {
                guard at < text.count, text[at] == CSVReader.quote else {
                    let isEnd = at == text.count || [CSVReader.comma, 0x0A, 0x0D].contains(text[at])
                    return isEnd ? String(decoding: bytes, as: UTF8.self) : nil
                }
                at += 1
            } else if byte == 0x0A {
                line += 1
            }
            bytes.append(byte)
        }
        return nil
    }

    /// To the beginning of the next line.
    private mutating func skipLine() {
        while at < text.count, text[at] != 0x0A { at += 1 }
        if at < text.count {
            at += 1
            line += 1
        }
    }
}

enum CSV {
    /// Appends one row and the end of its line.
    static func append(_ cells: [String], to buffer: ByteBuffer) {
        for (i, cell) in cells.enumerated() {
            if i > 0 { buffer.append(0x2C) }
            let needsQuotes = cell.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
            buffer.append(needsQuotes ? "\"" + cell.replacing("\"", with: "\"\"") + "\"" : cell)
        }
        buffer.append("\r\n")
    }
}

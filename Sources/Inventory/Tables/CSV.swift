import Bytes

/// Writes comma-separated values that spreadsheets show and do not run.
enum CSV {
    enum Cell {
        case text(String)
        case number(Int)
        /// What is not there.
        case empty

        init(_ text: String?) { self = text.map { .text($0) } ?? .empty }
        init(_ number: Int?) { self = number.map { .number($0) } ?? .empty }
    }

    /// Appends one row and the end of its line.
    static func append(_ cells: [Cell], to buffer: ByteBuffer) {
        for (i, cell) in cells.enumerated() {
            if i > 0 { buffer.append(0x2C) }
            switch cell {
            case .text(let text): append(isFormula(text) ? "'" + text : text, to: buffer)
            case .number(let number): buffer.append(decimal: number)
            case .empty: break
            }
        }
        buffer.append("\r\n")
    }

    private static func append(_ text: String, to buffer: ByteBuffer) {
        let bytes = text.utf8
        let needsQuotes =
            bytes.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
            || bytes.first == 0x20 || bytes.last == 0x20
        buffer.append(needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text)
    }

    /// A cell as it was before it was written.
    static func read(_ cell: String) -> String {
        guard cell.utf8.first == apostrophe, isFormula(cell) else { return cell }
        return String(cell.dropFirst())
    }

    /// Whether a spreadsheet may take a text for a formula: then an apostrophe goes in front of it. A text that looks as
    /// if it had one gets another, so that each reads as it was.
    private static func isFormula(_ text: String) -> Bool {
        switch text.utf8.first(where: { $0 != apostrophe }) {
        case UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "@"), 0x09, 0x0A, 0x0D: true
        default: false
        }
    }

    private static let apostrophe = UInt8(ascii: "'")
}

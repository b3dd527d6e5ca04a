import Bytes

/// Reads comma-separated values (RFC 4180) row by row, as spreadsheets write them: cells stand between commas, semicolons or
/// tabs, whichever the first line has; lines end in LF, CR LF or, in a file of which the first one does, CR. Cells may
/// stand in quotes, and hold separators, quotes (doubled) and line breaks then; blanks around a cell are no part of it.
/// Empty lines are passed over. What is not certain is refused, with its lines.
struct CSVReader {
    enum Row: Equatable {
        case cells(line: Int, [String])
        /// What cannot be read, and why; the next row is behind it.
        case broken(lines: ClosedRange<Int>, Fault)
        /// Nothing yet: much is passed over in parts, so that no call takes long. Call again.
        case unfinished
    }

    enum Fault: Error, Equatable { case quotes, openQuotes, loneReturn, encoding, length }

    /// What is known of the place within a row that is passed over.
    private enum Place { case cellStart, plain, quoted, closed }

    static let longestRow = 65536

    private let text: ByteView
    private let separator: UInt8
    /// Whether lines end in CR alone.
    private let endsInReturn: Bool
    private var at: Int
    private var line = 1
    /// Within the row that is being read.
    private var place = Place.cellStart
    /// A row that is passed over, because it cannot be read.
    private var refused: (line: Int, fault: Fault)?

    private static let quote = UInt8(ascii: "\"")
    private static let (lineFeed, carriageReturn): (UInt8, UInt8) = (0x0A, 0x0D)

    init(_ text: ByteView) {
        self.text = text
        // A byte order mark, as spreadsheets write it.
        at = text.count >= 3 && text[0] == 0xEF && text[1] == 0xBB && text[2] == 0xBF ? 3 : 0
        (separator, endsInReturn) = CSVReader.shape(text, from: at)
    }

    /// What stands between the cells of the first line, and what ends it.
    private static func shape(_ text: ByteView, from start: Int) -> (separator: UInt8, endsInReturn: Bool) {
        var counts: [(byte: UInt8, count: Int)] = [",", ";", "\t"].map { (UInt8(ascii: $0), 0) }
        var isQuoted = false
        for i in start..<min(text.count, start + longestRow) {
            let byte = text[i]
            if byte == quote { isQuoted.toggle() }
            if isQuoted { continue }
            if byte == lineFeed || byte == carriageReturn {
                let isAlone = byte == carriageReturn && (i + 1 == text.count || text[i + 1] != lineFeed)
                return (most(counts), isAlone)
            }
            for k in counts.indices where counts[k].byte == byte { counts[k].count += 1 }
        }
        return (most(counts), false)
    }

    private static func most(_ counts: [(byte: UInt8, count: Int)]) -> UInt8 {
        var best = counts[0]
        for other in counts where other.count > best.count { best = other }
        return best.byte
    }

    mutating func next() -> Row? {
        if refused == nil {
            guard passEmptyLines() else { return .unfinished }
            guard at < text.count else { return nil }
            let first = line
            place = .cellStart
            do throws(Fault) {
                let cells = try cells(until: min(text.count, at + CSVReader.longestRow))
                passLineEnd()
                return .cells(line: first, cells)
            } catch { refused = (first, error) }
        }
        return passRefused()
    }

    // MARK: Cells

    private mutating func cells(until limit: Int) throws(Fault) -> [String] {
        var cells: [String] = []
        while true {
            cells.append(try cell(until: limit))
            guard at < text.count, text[at] == separator else { return cells }
            at += 1
            place = .cellStart
        }
    }

    /// A cell; then the place is at a separator, the line's end or the text's.
    private mutating func cell(until limit: Int) throws(Fault) -> String {
        passBlanks(until: limit)
        if at < limit, text[at] == CSVReader.quote { return try quotedCell(until: limit) }
        place = .plain
        let start = at
        var end = at
        while at < limit, text[at] != separator, lineEnd == 0 {
            if text[at] == CSVReader.carriageReturn { throw .loneReturn }
            at += 1
            if !isBlank(text[at - 1]) { end = at }
        }
        guard at < limit || limit == text.count else { throw .length }
        return try checked(start, end)
    }

    private mutating func quotedCell(until limit: Int) throws(Fault) -> String {
        at += 1
        place = .quoted
        var cell = ""
        var start = at
        while at < limit {
            guard text[at] == CSVReader.quote else {
                countLine()
                at += 1
                continue
            }
            if at + 1 < text.count, text[at + 1] == CSVReader.quote {
                // One of the two is the cell's.
                cell += try checked(start, at + 1)
                at += 2
                start = at
                continue
            }
            cell += try checked(start, at)
            at += 1
            place = .closed
            passBlanks(until: limit)
            guard at == text.count || text[at] == separator || lineEnd > 0 else { throw .quotes }
            return cell
        }
        throw limit == text.count ? .openQuotes : .length
    }

    private func checked(_ start: Int, _ end: Int) throws(Fault) -> String {
        guard let cell = String(validating: text.slice(start, end).buffer, as: UTF8.self) else { throw .encoding }
        return cell
    }

    private mutating func passBlanks(until limit: Int) { while at < limit, isBlank(text[at]) { at += 1 } }

    private func isBlank(_ byte: UInt8) -> Bool { (byte == 0x20 || byte == 0x09) && byte != separator }

    // MARK: Lines

    /// How many bytes end a line here; 0 where none ends.
    private var lineEnd: Int {
        guard at < text.count else { return 0 }
        if text[at] == CSVReader.lineFeed { return 1 }
        guard text[at] == CSVReader.carriageReturn else { return 0 }
        if at + 1 == text.count { return 1 }
        return text[at + 1] == CSVReader.lineFeed ? 2 : endsInReturn ? 1 : 0
    }

    private mutating func passLineEnd() {
        let length = lineEnd
        at += length
        if length > 0 { line += 1 }
    }

    /// Counts a line that ends with the byte that is next, within quotes.
    private mutating func countLine() {
        switch text[at] {
        case CSVReader.lineFeed: line += 1
        case CSVReader.carriageReturn where endsInReturn && lineEnd == 1: line += 1
        default: break
        }
    }

    /// False when there are more than one call passes.
    private mutating func passEmptyLines() -> Bool {
        let limit = at + CSVReader.longestRow
        while at < limit, lineEnd > 0 { passLineEnd() }
        return at < limit
    }

    /// Goes to the end of a row that is refused.
    private mutating func passRefused() -> Row {
        let limit = min(text.count, at + CSVReader.longestRow)
        while at < limit {
            let byte = text[at]
            if place != .quoted, lineEnd > 0 { return refuse() }
            countLine()
            at += 1
            switch place {
            case .quoted: if byte == CSVReader.quote { place = .closed }
            case .closed where byte == CSVReader.quote: place = .quoted
            case .cellStart where byte == CSVReader.quote: place = .quoted
            case .cellStart where isBlank(byte), .closed where isBlank(byte): break
            default: place = byte == separator ? .cellStart : .plain
            }
        }
        return at < text.count ? .unfinished : refuse()
    }

    private mutating func refuse() -> Row {
        let (first, fault) = refused ?? (line, .quotes)
        refused = nil
        // Whatever was wrong before: this is why so much is.
        let isOpen = at == text.count && place == .quoted
        let endsInLineEnd = isOpen && (text[at - 1] == CSVReader.lineFeed || text[at - 1] == CSVReader.carriageReturn)
        let lines = first...max(first, endsInLineEnd ? line - 1 : line)
        passLineEnd()
        return .broken(lines: lines, isOpen ? .openQuotes : fault)
    }
}

extension CSVReader.Fault {
    var detail: String {
        switch self {
        case .quotes: "something stands behind the closing quotes of a cell; quotes that belong to a cell are doubled"
        case .openQuotes: "the quotes that open a cell are never closed"
        case .loneReturn: "a carriage return stands alone; a cell with line breaks must stand in quotes"
        case .encoding: "the text is not UTF-8; spreadsheets write it as \"CSV UTF-8\""
        case .length: "the row is longer than \(CSVReader.longestRow) bytes"
        }
    }
}

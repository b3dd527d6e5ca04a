/// Rows and columns as aligned text. A column in which no row has anything is left out; no line ends in spaces.
struct TextTable {
    struct Column {
        let title: String
        /// Numbers stand at the right.
        var isNumeric = false
        /// Whether it is cut when a terminal is too narrow; the words of users are, ids and numbers never.
        var isFlexible = false

        static func text(_ title: String) -> Column { Column(title: title) }
        static func number(_ title: String) -> Column { Column(title: title, isNumeric: true) }
        static func words(_ title: String) -> Column { Column(title: title, isFlexible: true) }
    }

    private let columns: [Column]
    private let rows: [[String]]
    private static let gap = 2
    /// A flexible column is not made narrower than this.
    private static let narrowest = 8

    /// - Parameter rows: each with a cell for every column. What would not show on a line of its own, a line's end or a
    ///   terminal's control, becomes a space.
    init(_ columns: [Column], _ rows: [[String]]) {
        let kept = columns.indices.filter { i in rows.contains { !$0[i].isEmpty } }
        self.columns = kept.map { columns[$0] }
        self.rows = rows.map { row in kept.map { DisplayText.oneLine(row[$0]) } }
    }

    /// Names and values, one pair a line, without titles.
    init(pairs: [(String, String)]) {
        self.init([.text(""), .text("")], pairs.map { [$0.0, $0.1] })
    }

    /// The lines, the titles first if there are any.
    /// - Parameter width: of the terminal; nil cuts nothing.
    func text(width: Int? = nil) -> String {
        let hasTitles = columns.contains { !$0.title.isEmpty }
        let lines = (hasTitles ? [columns.map(\.title)] : []) + rows
        var widths = columns.indices.map { i in lines.map { DisplayText.width($0[i]) }.max() ?? 0 }
        if let width { fit(&widths, into: width) }
        return lines.map { line in
            var text = ""
            var pending = 0
            for (i, cell) in line.enumerated() {
                let cell = DisplayText.cut(cell, to: widths[i])
                let room = widths[i] - DisplayText.width(cell)
                let before = columns[i].isNumeric ? room : 0
                if !cell.isEmpty {
                    text += String(repeating: " ", count: pending + before) + cell
                    pending = 0
                } else {
                    pending += before
                }
                pending += room - before + TextTable.gap
            }
            return text
        }.joined(separator: "\n")
    }

    /// Takes from the widest flexible column until the line fits, or nothing can be taken.
    private func fit(_ widths: inout [Int], into width: Int) {
        while widths.reduce(0, +) + TextTable.gap * (widths.count - 1) > width {
            let flexible = widths.indices.filter { columns[$0].isFlexible && widths[$0] > TextTable.narrowest }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { return }
            widths[widest] -= 1
        }
    }
}

/// How text shows on a terminal.
enum DisplayText {
    /// The columns it takes: two for a wide character, one for another.
    static func width(_ text: String) -> Int {
        text.utf8.count == text.count && text.utf8.allSatisfy { $0 < 0x80 }
            ? text.utf8.count : text.reduce(0) { $0 + width($1) }
    }

    /// `text` in at most `width` columns, its end replaced by an ellipsis if it is longer.
    static func cut(_ text: String, to width: Int) -> String {
        guard DisplayText.width(text) > width else { return text }
        var cut = ""
        var left = width - 1
        for character in text {
            left -= DisplayText.width(character)
            if left < 0 { break }
            cut.append(character)
        }
        return cut + "…"
    }

    /// `text` with a space for every control character.
    static func oneLine(_ text: String) -> String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool {
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { line.append(isControl(scalar) ? " " : scalar) }
        return String(line)
    }

    private static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        // Hangul, CJK, full-width forms, pictographs: East Asian Width W and F (Unicode, annex 11).
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF,
            0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}

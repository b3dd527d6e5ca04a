import JSON

/// A report as text.
struct ReportText {
    enum Format: String, CaseIterable, Sendable {
        case json, csv, html

        var contentType: String {
            switch self {
            case .json: "application/json"
            case .csv: "text/csv; charset=utf-8; header=present"
            case .html: "text/html; charset=utf-8"
            }
        }
    }

    /// What one source says.
    struct Section: Sendable {
        let name: String
        let rows: [JSONValue]
    }

    /// The word of `report`.
    let title: String
    /// RFC 3339.
    let madeAt: String
    let sections: [Section]

    func text(_ format: Format) -> String {
        switch format {
        case .json: json
        case .csv: csv
        case .html: html
        }
    }

    // MARK: JSON

    private var json: String {
        let sections = sections.map { JSONValue.Member($0.name, .array($0.rows)) }
        return JSONValue.object([
            .init("report", .string(title)), .init("generatedAt", .string(madeAt)),
            .init("sections", .object(sections)),
        ]).text(pretty: true) + "\n"
    }

    // MARK: CSV (RFC 4180)

    /// One table; of several sections it has all their columns, and first the section's name.
    private var csv: String {
        let columns = ReportText.columns(sections.flatMap(\.rows))
        let naming = sections.count > 1
        var text = ((naming ? ["report"] : []) + columns).map(ReportText.cell).joined(separator: ",") + "\r\n"
        for section in sections {
            for row in section.rows {
                let cells = columns.map { ReportText.cell(row[$0] ?? .null) }
                text += ((naming ? [ReportText.cell(section.name)] : []) + cells).joined(separator: ",") + "\r\n"
            }
        }
        return text
    }

    private static func cell(_ value: JSONValue) -> String {
        // A number is none of a spreadsheet's formulas, whatever its sign.
        switch value {
        case .int, .double: value.text()
        default: cell(plain(value))
        }
    }

    /// A text as a cell. One that a spreadsheet would take for a formula gets an apostrophe in front, which the
    /// spreadsheet takes for "this is text".
    static func cell(_ text: String) -> String {
        var text = text
        if let first = text.unicodeScalars.first, "=+-@\t\r\n".unicodeScalars.contains(first) { text = "'" + text }
        // By scalars: CR and LF together are one character.
        guard text.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    // MARK: HTML

    private var html: String {
        var text = """
            <!DOCTYPE html>
            <html lang="en">
            <head><meta charset="utf-8"><title>\(ReportText.escaped(title))</title></head>
            <body>
            <h1>\(ReportText.escaped(title))</h1>
            <p>\(ReportText.escaped(madeAt))</p>

            """
        for section in sections {
            let columns = ReportText.columns(section.rows)
            text += "<h2>\(ReportText.escaped(section.name))</h2>\n<table>\n"
            text += ReportText.line(columns.map { "<th>\(ReportText.escaped($0))</th>" })
            for row in section.rows {
                text += ReportText.line(
                    columns.map { "<td>\(ReportText.escaped(ReportText.plain(row[$0] ?? .null)))</td>" })
            }
            text += "</table>\n"
        }
        return text + "</body>\n</html>\n"
    }

    private static func line(_ cells: [String]) -> String { "<tr>\(cells.joined())</tr>\n" }

    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    // MARK: Tables

    /// The names of all fields, in the order in which rows first have them.
    private static func columns(_ rows: [JSONValue]) -> [String] {
        var seen: Set<String> = []
        var columns: [String] = []
        for case .object(let members) in rows {
            for member in members where seen.insert(member.key).inserted { columns.append(member.key) }
        }
        return columns
    }

    private static func plain(_ value: JSONValue) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        default: value.text()
        }
    }
}

import JSON

/// What the inventory answers, as tables.
enum StockTables {
    static func levels(_ rows: [JSONValue]) -> TextTable {
        TextTable(
            [
                .text("WAREHOUSE"), .words("NAME"), .words("LOCATION"), .number("QUANTITY"), .number("RESERVED"),
                .number("AVAILABLE"), .number("IN TRANSIT"),
            ],
            rows.map { row in
                ["warehouseId", "warehouseName", "warehouseLocation", "quantity", "reserved", "available", "inTransit"]
                    .map { row.cell($0) }
            })
    }

    /// A product, its stock in each warehouse, and the sums; of one warehouse only its line.
    static func stock(_ answer: JSONValue) -> String {
        guard case .array(let rows)? = answer["inventory"] else { return levels([answer]).text() }
        let product = answer["product"] ?? .null
        let totals = answer["totals"] ?? .null
        let sum = JSONValue.object([
            .init("warehouseId", .string("total")), .init("quantity", totals["totalQuantity"] ?? .null),
            .init("reserved", totals["totalReserved"] ?? .null), .init("available", totals["totalAvailable"] ?? .null),
        ])
        return "\(product.cell("sku"))  \(product.cell("name"))\n\(levels(rows + [sum]).text())"
    }

    static func alerts(_ alerts: [JSONValue]) -> TextTable {
        TextTable(
            [
                .text("ID"), .text("LEVEL"), .text("STATUS"), .text("SKU"), .text("WAREHOUSE"), .number("AVAILABLE"),
                .number("THRESHOLD"), .text("SINCE"), .words("ACKNOWLEDGED BY"),
            ],
            alerts.map { alert in
                [
                    alert.cell("id"), alert.cell("level"), alert.cell("status"), alert.cell("sku"),
                    alert.cell("warehouseId"), alert.cell("available"), alert.cell("threshold"),
                    alert.when("createdAt"),
                    alert.cell("acknowledgedBy"),
                ]
            })
    }

    static func ledger(_ entries: [JSONValue]) -> TextTable {
        TextTable(
            [
                .text("ENTRY"), .text("TYPE"), .text("WAREHOUSE"), .number("QUANTITY"), .number("RESERVED"),
                .number("IN TRANSIT"), .text("AFTER"), .words("ORDER"), .words("REASON"), .words("ACTOR"),
            ],
            entries.map { entry in
                let change = entry["change"] ?? .null
                let after = entry["after"] ?? .null
                let left = ["quantity", "reserved", "inTransit"].map { after.cell($0) }.filter { !$0.isEmpty }
                return [
                    entry.cell("id"), entry.cell("type"),
                    entry.cell("warehouseId"), signed(change, "quantity"), signed(change, "reserved"),
                    signed(change, "inTransit"), left.joined(separator: "/"), entry.cell("orderId"),
                    entry.cell("reason"), entry.cell("actor"),
                ]
            })
    }

    private static func signed(_ change: JSONValue, _ name: String) -> String {
        guard let number = change.integer(name), number != 0 else { return "" }
        return number > 0 ? "+\(number)" : String(number)
    }

    /// What was compared, and a line for each place where something differs.
    static func reconciled(_ report: JSONValue) -> String {
        var parts = ["\(report.cell("checked")) products compared, \(report.cell("drifts")) differ"]
        if case .array(let rows)? = report["drift"], !rows.isEmpty {
            func levels(_ row: JSONValue, _ name: String) -> String {
                let counters = row[name] ?? .null
                return ["quantity", "reserved", "inTransit"].map { counters.cell($0) }.joined(separator: "/")
            }
            let table = TextTable(
                [
                    .text("SKU"), .text("WAREHOUSE"), .text("COUNTERS"), .text("LEDGER"), .text("EXPECTED"),
                    .text("REPAIRED"),
                ],
                rows.map { row in
                    [
                        row.cell("sku"), row.cell("warehouseId"), levels(row, "counters"), levels(row, "ledger"),
                        levels(row, "expected"), row.cell("repaired"),
                    ]
                })
            parts.append(table.text())
        }
        func rows(_ name: String, _ line: (JSONValue) -> String) {
            guard case .array(let rows)? = report[name] else { return }
            parts += rows.map { "\($0.cell("sku")): " + line($0) }
        }
        rows("unjudged") { $0.cell("reason") }
        rows("unlisted") { "\($0.cell("count")) open reservations or transfers were not listed as open" }
        rows("unknownWarehouses") { "there is stock in \($0.cell("warehouseId")), which is no warehouse" }
        return parts.joined(separator: "\n")
    }

    /// What became of an import: its counts, and a line for each line of the file that was not taken.
    static func imported(_ answer: JSONValue) -> String {
        guard case .object(let members) = answer else { return answer.text() }
        var parts = [
            TextTable(pairs: members.filter { $0.key != "errors" }.map { ($0.key, answer.cell($0.key)) }).text()
        ]
        if case .array(let errors)? = answer["errors"], !errors.isEmpty {
            parts.append(
                TextTable(
                    [.number("LINE"), .text("FIELD"), .words("ERROR")],
                    errors.map { [$0.cell("line"), $0.cell("field"), $0.cell("error")] }
                ).text())
        }
        return parts.joined(separator: "\n")
    }
}

import HTTP
import JSON
import Services

/// `stock …`: the inventory of a running service.
extension ServiceCommand {
    private static let warehouse = Flag("warehouse", "ID", "in which warehouse")
    private static let quantity = Flag("quantity", "N", "how many")
    private static let reason = Flag("reason", "TEXT", "what the ledger says of it")
    private static let key = Flag("idempotency-key", "KEY", "the same key does it once, however often it is sent")
    private static let products = Flag("products", nil, "products instead of stock")
    private static let format = Flag("format", "WORD", "csv (default) or ndjson")

    static let stock: [ServiceCommand] = [
        ServiceCommand("stock show", ["SKU"], flags: [warehouse], help: "what there is of a product, by id or SKU") {
            asking in
            let query = asking.arguments["warehouse"].map { "?warehouseId=" + PathText.escaped($0) } ?? ""
            return try asking.show(asking.service.get(asking.path("/api/inventory/") + query), StockTables.stock)
        },
        ServiceCommand(
            "stock adjust", ["SKU"],
            flags: [
                warehouse, Flag("type", "WORD", "add, subtract or set"), quantity, reason,
                Flag("expected", "N", "only if so many are there now"), key,
            ], help: "change what there is"
        ) { asking in
            var body = try StockRequest(asking, "stock adjust", needs: ["warehouse", "type", "quantity"])
            body.text("warehouse", as: "warehouseId")
            body.text("type", as: "type")
            try body.number("quantity", as: "quantity")
            body.text("reason", as: "reason")
            try body.number("expected", as: "expected")
            return try asking.show(body.send(.post, asking.path("/api/inventory/", "/adjust"))) {
                StockTables.levels([$0["newInventory"] ?? .null]).text()
            }
        },
        ServiceCommand(
            "stock reserve", ["SKU"],
            flags: [
                quantity, warehouse, Flag("allocation", "WORD", "any or split, where no warehouse is given"),
                Flag("order", "ID", "for which order"), Flag("for", "TIME", "how long it holds: 15m (default 1h)"),
                Flag("priority", "N", "0 to 100"), key,
            ], help: "hold stock and print the reservation's id", run: reserve),
        ServiceCommand(
            "stock confirm", ["ID"], flags: [Flag("quantity", "N", "only so many; the rest is released")],
            help: "take what a reservation holds"
        ) { asking in try end(asking, "confirm") },
        ServiceCommand("stock cancel", ["ID"], flags: [reason], help: "release what a reservation holds") { asking in
            try end(asking, "cancel")
        },
        ServiceCommand(
            "stock transfer", ["SKU"],
            flags: [
                Flag("from", "ID", "the warehouse that it leaves"), Flag("to", "ID", "where it goes"), quantity, reason,
                key,
            ], help: "begin to move stock between warehouses", run: transfer),
        ServiceCommand(
            "stock alerts",
            flags: [
                Flag("status", "WORD", "only those that are active, acknowledged, resolved"),
                Flag("level", "WORD", "only warning, critical, emergency or overstock"), warehouse,
                Flag("limit", "N", "how many at most (default 100)"),
            ], help: "where there is too little or too much", run: alerts),
        ServiceCommand(
            "stock ledger", ["SKU"], flags: [warehouse, Flag("limit", "N", "how many at most (default 100)")],
            help: "every change of a product's stock", run: ledger),
        ServiceCommand(
            "stock reconcile",
            flags: [
                Flag("sku", "SKU", "only this product"),
                Flag("repair", nil, "put right what differs, by ledger entries"),
            ], help: "compare counters, reservations and ledger; exit code 1 if they differ", run: reconcile),
        ServiceCommand(
            "stock import", ["FILE"], flags: [products, format, key],
            help: "take stock or products from a file, - for standard input; exit code 1 if a line was not taken",
            run: importFile),
        ServiceCommand(
            "stock export", flags: [products, format, warehouse],
            help: "write all stock or products to standard output",
            run: exportFile),
    ]

    private static func reserve(_ asking: Asking) throws -> ExitCode {
        var body = try StockRequest(asking, "stock reserve", needs: ["quantity"])
        try body.number("quantity", as: "quantity")
        body.members.append(.init("productId", .string(asking.words[0])))
        body.text("warehouse", as: "warehouseId")
        body.text("allocation", as: "allocation")
        body.text("order", as: "orderId")
        try body.duration("for", as: "expiresInMs")
        try body.number("priority", as: "priority")
        return try asking.show(body.send(.post, "/api/reservations")) { $0.cell("id") }
    }

    private static func end(_ asking: Asking, _ verb: String) throws -> ExitCode {
        var body = StockRequest(asking)
        try body.number("quantity", as: "quantity")
        body.text("reason", as: "reason")
        return try asking.show(body.send(.put, asking.path("/api/reservations/", "/" + verb))) {
            "\($0.cell("id")) is \($0.cell("status"))"
        }
    }

    private static func transfer(_ asking: Asking) throws -> ExitCode {
        var body = try StockRequest(asking, "stock transfer", needs: ["from", "to", "quantity"])
        body.members.append(.init("productId", .string(asking.words[0])))
        body.text("from", as: "fromWarehouseId")
        body.text("to", as: "toWarehouseId")
        try body.number("quantity", as: "quantity")
        body.text("reason", as: "reason")
        return try asking.show(body.send(.post, "/api/transfers")) { "\($0.cell("id")) is \($0.cell("status"))" }
    }

    private static func alerts(_ asking: Asking) throws -> ExitCode {
        try list(asking, "/api/alerts/low-stock", ["status", "level"], "such alerts", StockTables.alerts)
    }

    private static func ledger(_ asking: Asking) throws -> ExitCode {
        try list(asking, asking.path("/api/inventory/", "/ledger"), [], "changes", StockTables.ledger)
    }

    private static func list(
        _ asking: Asking, _ path: String, _ filters: [String], _ things: String, _ table: ([JSONValue]) -> TextTable
    ) throws -> ExitCode {
        let most = try asking.arguments.integer("limit", 1...1_000_000) ?? 100
        let warehouse = asking.arguments["warehouse"].map { "&warehouseId=" + PathText.escaped($0) } ?? ""
        let (list, hasMore) = try asking.service.list(
            path, { asking.query(filters, limit: $0) + warehouse }, most: most)
        let code = asking.show(list, things, table)
        if hasMore { Output.note("there are more: --limit says how many are shown") }
        return code
    }

    /// Goes through all products, part by part.
    private static func reconcile(_ asking: Asking) throws -> ExitCode {
        var checked = 0
        var drift: [JSONValue] = []
        // Those that can't be judged, what isn't found where it should be, stock in warehouses that are not listed.
        var others: [(name: String, rows: [JSONValue])] = [
            ("unjudged", []), ("unlisted", []), ("unknownWarehouses", []),
        ]
        var cursor: JSONValue?
        repeat {
            var body = StockRequest(asking)
            body.text("sku", as: "productId")
            if asking.arguments.has("repair") { body.members.append(.init("repair", .bool(true))) }
            if let cursor { body.members.append(.init("cursor", cursor)) }
            let answer = try body.send(.post, "/api/inventory/reconcile")
            checked += answer.integer("checked") ?? 0
            if case .array(let rows)? = answer["drift"] { drift += rows }
            for i in others.indices {
                if case .array(let rows)? = answer[others[i].name] { others[i].rows += rows }
            }
            cursor = answer["cursor"]
        } while cursor != nil
        let report = JSONValue.object(
            [
                .init("checked", .int(checked)), .init("drifts", .int(drift.count)), .init("drift", .array(drift)),
            ] + others.map { .init($0.name, .array($0.rows)) })
        _ = asking.show(report, StockTables.reconciled)
        let isLeft = (drift + others.flatMap(\.rows)).contains { $0["repaired"] != .bool(true) }
        if isLeft { throw CommandFailure(description: "counters, reservations and ledger differ") }
        return .success
    }

    // MARK: Files

    private static func area(_ asking: Asking) -> String {
        asking.arguments.has("products") ? "/api/products" : "/api/inventory"
    }

    private static func importFile(_ asking: Asking) throws -> ExitCode {
        let path = asking.words[0]
        let isObjects = path.hasSuffix(".ndjson") || path.hasSuffix(".jsonl")
        let format = asking.arguments["format"] ?? (isObjects ? "ndjson" : "csv")
        let bytes: [UInt8]
        do { bytes = try Files.read(path) } catch { throw CommandFailure(description: "\(error)") }
        let headers = try JobRequest.idempotency(asking.arguments) + [("Content-Type", "text/csv")]
        let target = area(asking) + "/import?format=" + PathText.escaped(format)
        let answer = try asking.service.send(.post, target, headers: headers, body: bytes).json
        _ = asking.show(answer, StockTables.imported)
        if answer.integer("failed") != 0 { throw CommandFailure(description: "some lines were not taken") }
        return .success
    }

    private static func exportFile(_ asking: Asking) throws -> ExitCode {
        // What is printed as JSON has a line for each object.
        let format = asking.arguments["format"] ?? (asking.printsJSON ? "ndjson" : "csv")
        var query = "?format=" + PathText.escaped(format)
        if let warehouse = asking.arguments["warehouse"] { query += "&warehouseId=" + PathText.escaped(warehouse) }
        Output.bytes(try asking.service.download(area(asking) + "/export" + query))
        return .success
    }
}

/// A request's body as the flags of a command say it. Its values are checked by the service; here only what could not be
/// sent.
private struct StockRequest {
    let asking: Asking
    var members: [JSONValue.Member] = []

    init(_ asking: Asking) { self.asking = asking }

    /// - Parameter needs: flags that the command cannot do without.
    init(_ asking: Asking, _ command: String, needs: [String] = []) throws {
        for name in needs where !asking.arguments.has(name) {
            throw UsageError(description: "\(command) needs --\(name)")
        }
        self.asking = asking
    }

    mutating func text(_ flag: String, as member: String) {
        if let text = asking.arguments[flag] { members.append(.init(member, .string(text))) }
    }

    mutating func number(_ flag: String, as member: String) throws {
        let most = 9_007_199_254_740_991
        if let number = try asking.arguments.integer(flag, -most...most) { members.append(.init(member, .int(number))) }
    }

    /// Milliseconds, or text such as `15m`.
    mutating func duration(_ flag: String, as member: String) throws {
        guard let text = asking.arguments[flag] else { return }
        guard let ms = Int(text) ?? DurationText.parseMs(text) else {
            throw UsageError(description: "--\(flag) must be a length such as 30s, 15m, 1h, or milliseconds")
        }
        members.append(.init(member, .int(ms)))
    }

    func send(_ method: HTTPMethod, _ target: String) throws -> JSONValue {
        let headers = try JobRequest.idempotency(asking.arguments)
        return try asking.service.send(
            method, target, headers: headers, body: Array(JSONValue.object(members).text().utf8)
        )
        .json
    }
}

import JSON

/// `audit`: what administrators have changed.
extension ServiceCommand {
    static let audit: [ServiceCommand] = [
        ServiceCommand(
            "audit", flags: [Flag("limit", "N", "how many at most (default 100)")],
            help: "what administrators have changed, the latest first", run: listAudit)
    ]

    private static func listAudit(_ asking: Asking) throws -> ExitCode {
        let most = try asking.arguments.integer("limit", 1...1_000_000) ?? 100
        let (entries, hasMore) = try asking.service.list("/api/audit", { asking.query([], limit: $0) }, most: most)
        let code = asking.show(entries, "changes yet") { entries in
            TextTable(
                [
                    .text("ENTRY"), .text("WHEN"), .words("WHO"), .text("METHOD"), .text("ROUTE"), .words("SUBJECT"),
                    .text("VERSION"), .number("STATUS"), .text("ADDRESS"), .words("REQUEST"),
                ],
                entries.map { entry in
                    [
                        entry.cell("id"), entry.when("at"), entry.cell("who"), entry.cell("method"),
                        entry.cell("route"), entry.cell("subject"), versions(entry), entry.cell("status"),
                        entry.cell("address"), entry.cell("requestId"),
                    ]
                })
        }
        if hasMore { Output.note("there are more: --limit says how many are shown") }
        return code
    }

    /// `3 to 4`, or the one that there is.
    private static func versions(_ entry: JSONValue) -> String {
        [entry.cell("before"), entry.cell("after")].filter { !$0.isEmpty }.joined(separator: " to ")
    }
}

import JSON

/// `queues`, `workers` and `cron`: what jobs wait in, who runs them, and when a schedule would.
extension ServiceCommand {
    static let queues: [ServiceCommand] = [
        ServiceCommand("queues", help: "the queues and how much is in each") { asking in
            try list(asking, "/api/queues", "queues yet", JobTables.queues)
        },
        ServiceCommand("queues pause", ["NAME"], help: "start no more jobs of a queue") { asking in
            try turn(asking, "pause")
        },
        ServiceCommand("queues resume", ["NAME"], help: "start them again") { asking in try turn(asking, "resume") },
        ServiceCommand("workers", help: "who runs jobs") { asking in
            try list(asking, "/api/workers", "workers", JobTables.workers)
        },
        ServiceCommand(
            "cron", ["EXPRESSION"],
            flags: [
                Flag("time-zone", "ZONE", "default UTC"), Flag("from", "TIME", "from when (default: now)"),
                Flag("count", "N", "how many (default 5)"),
            ], help: "when a schedule would run: five fields in quotes, or @every 1m", run: previewCron),
    ]

    private static func list(
        _ asking: Asking, _ path: String, _ things: String, _ table: ([JSONValue]) -> TextTable
    ) throws -> ExitCode {
        guard case .array(let list) = try asking.service.get(path) else { throw CommandFailure.notUnderstood }
        return asking.show(list, things, table)
    }

    private static func turn(_ asking: Asking, _ verb: String) throws -> ExitCode {
        try asking.show(asking.service.send(.post, asking.path("/api/queues/", "/" + verb)).json) {
            "\($0.cell("name")) is \(JobTables.state($0))"
        }
    }

    private static func previewCron(_ asking: Asking) throws -> ExitCode {
        var query = "?expression=" + PathText.escaped(asking.words[0])
        for (flag, item) in [("time-zone", "timeZone"), ("from", "from"), ("count", "count")] {
            if let text = asking.arguments[flag] { query += "&\(item)=" + PathText.escaped(text) }
        }
        return try asking.show(asking.service.get("/api/cron/preview" + query)) { answer in
            guard case .array(let runs)? = answer["runs"] else { throw CommandFailure.notUnderstood }
            return runs.map { if case .string(let time) = $0 { time } else { $0.text() } }.joined(separator: "\n")
        }
    }
}

import HTTP
import JSON

/// `jobs …` and `dead`: the jobs of a running service.
extension ServiceCommand {
    private static let limit = Flag("limit", "N", "how many at most (default 100)")
    private static let ofQueue = Flag("queue", "NAME", "only those of this queue")
    private static let ofType = Flag("type", "TYPE", "only those of this type")
    private static let key = Flag("idempotency-key", "KEY", "the same key does it once, however often it is sent")

    static let jobs: [ServiceCommand] = [
        ServiceCommand("jobs add", flags: JobRequest.flags, help: "make a job and print its id", run: addJob),
        ServiceCommand(
            "jobs list",
            flags: [
                Flag("status", "WORD", "only those that are pending, running, completed, failed, …"), ofType, ofQueue,
                Flag("name", "NAME", "only those of this name"), limit,
            ], help: "jobs, what runs first", run: listJobs),
        ServiceCommand("jobs show", ["ID"], help: "all that is known of a job") { asking in
            try asking.show(asking.service.get(asking.path("/api/jobs/"))) { JobTables.job($0).text() }
        },
        ServiceCommand("jobs run", ["ID"], flags: [key], help: "run a job now, or a schedule once more") { asking in
            try again(asking, "run")
        },
        ServiceCommand("jobs cancel", ["ID"], help: "end a job, also while it runs") { asking in
            try asking.show(asking.service.send(.post, asking.path("/api/jobs/", "/cancel")).json) {
                "\($0.cell("id")) is \(JobTables.status($0))"
            }
        },
        ServiceCommand("jobs retry", ["ID"], flags: [key], help: "try a job of the dead letter again") { asking in
            try again(asking, "retry")
        },
        ServiceCommand("jobs history", ["ID"], help: "the executions of a job that have ended", run: history),
        ServiceCommand("jobs result", ["ID"], help: "what a job gave", run: result),
        ServiceCommand(
            "jobs tail", flags: [Flag("queue", "NAME", "whose events (default: default)")],
            help: "what happens to the jobs of a queue, a line each, until Ctrl-C", run: tail),
        ServiceCommand("dead", flags: [ofType, ofQueue, limit], help: "the dead letter: jobs given up", run: listDead),
    ]

    private static func addJob(_ asking: Asking) throws -> ExitCode {
        let request = try JobRequest(asking.arguments) { try Files.read($0) }
        let body = Array(request.body.text().utf8)
        var job = try asking.service.send(.post, "/api/jobs", headers: request.headers, body: body).json
        guard case .string(let id)? = job["id"] else { throw CommandFailure.notUnderstood }
        if !asking.printsJSON { Output.line(id) }
        let waits = asking.arguments.has("wait")
        if waits { job = try JobEnd.await(id, asking.service) }
        if asking.printsJSON { Output.line(job.text(pretty: true)) }
        if waits { try JobEnd.check(job) }
        return .success
    }

    private static func listJobs(_ asking: Asking) throws -> ExitCode {
        try list(asking, "/api/jobs", ["status", "type", "queue", "name"], "such jobs", JobTables.jobs)
    }

    private static func listDead(_ asking: Asking) throws -> ExitCode {
        try list(asking, "/api/dead", ["type", "queue"], "dead jobs", JobTables.dead)
    }

    private static func list(
        _ asking: Asking, _ path: String, _ filters: [String], _ things: String,
        _ table: ([JSONValue]) -> TextTable
    ) throws -> ExitCode {
        let most = try asking.arguments.integer("limit", 1...1_000_000) ?? 100
        let (jobs, hasMore) = try asking.service.list(path, { asking.query(filters, limit: $0) }, most: most)
        let code = asking.show(jobs, things, table)
        if hasMore { Output.note("there are more: --limit says how many are shown") }
        return code
    }

    private static func again(_ asking: Asking, _ verb: String) throws -> ExitCode {
        let headers = try JobRequest.idempotency(asking.arguments)
        let answer = try asking.service.send(.post, asking.path("/api/jobs/", "/" + verb), headers: headers).json
        return asking.show(answer) { answer in
            // A schedule stays what it is; the run is a job of its own.
            let run = answer.cell("runId")
            return run.isEmpty
                ? "\(answer.cell("id")) is \(answer.cell("status"))" : "\(run) is a run of \(answer.cell("id"))"
        }
    }

    private static func history(_ asking: Asking) throws -> ExitCode {
        guard case .array(let entries) = try asking.service.get(asking.path("/api/jobs/", "/history")) else {
            throw CommandFailure.notUnderstood
        }
        return asking.show(entries, "executions yet") { JobTables.history($0, of: asking.words[0]) }
    }

    private static func result(_ asking: Asking) throws -> ExitCode {
        let answer = try asking.service.get(asking.path("/api/jobs/", "/result"))
        if asking.printsJSON {
            Output.line(answer.text(pretty: true))
            return .success
        }
        switch answer["result"] {
        case .string(let text)?: Output.line(text)
        case nil, .null?:
            // Success without a result is a success; for a failure's result nobody is to wait.
            let description = "\(answer.cell("id")) gave no result: it is \(answer.cell("status"))"
            guard answer.cell("status") == "completed" else { throw CommandFailure(description: description) }
            Output.note(description)
        case let value?: Output.line(value.text(pretty: true))
        }
        return .success
    }
}

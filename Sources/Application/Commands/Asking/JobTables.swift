import EventLoops
import JSON

/// What the job scheduler answers, as tables.
enum JobTables {
    static func jobs(_ jobs: [JSONValue]) -> TextTable {
        TextTable(
            [
                .text("ID"), .words("NAME"), .words("TYPE"), .text("PRIORITY"), .text("STATUS"), .number("ATTEMPT"),
                .text("CREATED"), .text("LAST RUN"), .text("NEXT RUN"),
            ],
            jobs.map { job in
                [
                    job.cell("id"), job.cell("name"), job.cell("type"), job.cell("priority"), status(job), attempt(job),
                    job.when("createdAt"), job.when("lastRun"), job.when("nextRun"),
                ]
            })
    }

    static func dead(_ jobs: [JSONValue]) -> TextTable {
        TextTable(
            [
                .text("ID"), .words("NAME"), .words("TYPE"), .text("STATUS"), .number("ATTEMPT"), .text("ENDED"),
                .words("ERROR"),
            ],
            jobs.map { job in
                [
                    job.cell("id"), job.cell("name"), job.cell("type"), status(job), attempt(job), job.when("endedAt"),
                    job.cell("error").isEmpty ? job.cell("reason") : job.cell("error"),
                ]
            })
    }

    /// Everything that is known of one job, a line each.
    static func job(_ job: JSONValue) -> TextTable {
        guard case .object(let members) = job else { return TextTable(pairs: []) }
        return TextTable(
            pairs: members.compactMap { member in
                var text = job.cell(member.key)
                switch member.key {
                case "timeout": text = job.lasting("timeout")
                case "dependencies":
                    text = JSONValue.array([]) == member.value ? "" : text
                case _ where member.key.hasSuffix("At") || member.key.hasSuffix("Run"):
                    text += text.isEmpty ? "" : " (\(job.when(member.key)))"
                default: break
                }
                return text.isEmpty ? nil : (member.key, text)
            })
    }

    /// - Parameter id: of the job; a schedule's runs are jobs of their own.
    static func history(_ entries: [JSONValue], of id: String) -> TextTable {
        TextTable(
            [
                .text("JOB"), .number("ATTEMPT"), .text("STATUS"), .text("STARTED"), .number("TOOK"), .words("WORKER"),
                .words("DETAIL"),
            ],
            entries.map { entry in
                [
                    entry.cell("jobId") == id ? "" : entry.cell("jobId"), entry.cell("attempt"), entry.cell("status"),
                    entry.when("startTime"), entry.lasting("durationMs"), entry.cell("worker"),
                    entry.cell("error").isEmpty ? entry.cell("reason") : entry.cell("error"),
                ]
            })
    }

    static func queues(_ queues: [JSONValue]) -> TextTable {
        let counts = ["ready", "running", "delayed", "waiting", "scheduled", "idle", "overdue", "ended", "dead"]
        return TextTable(
            [.text("QUEUE"), .text("STATE")] + counts.map { .number($0.uppercased()) },
            queues.map { queue in [queue.cell("name"), state(queue)] + counts.map { queue.cell($0) } })
    }

    static func workers(_ workers: [JSONValue]) -> TextTable {
        TextTable(
            [
                .words("WORKER"), .words("QUEUES"), .words("TYPES"), .number("RUNNING"), .number("CPU"),
                .number("MEMORY"), .text("STARTED"), .text("SEEN"),
            ],
            workers.map { worker in
                let slots = worker.integer("concurrency").map { "/\($0)" } ?? ""
                // Only a worker of ours says what it does; others are known by their calls.
                let isOurs = worker.integer("pid") != nil
                return [
                    worker.cell("id"), worker.joined("queues", none: isOurs ? "all" : ""),
                    worker.joined("types", none: ""), worker.cell("running") + slots,
                    worker.integer("cpuPercent").map { "\($0)%" } ?? "",
                    worker.integer("memoryBytes").map(TimeText.bytes) ?? "", worker.when("startedAt"),
                    worker.when("lastSeen"),
                ]
            })
    }

    /// `paused` or `active`.
    static func state(_ queue: JSONValue) -> String { queue["paused"] == .bool(true) ? "paused" : "active" }

    /// `cancelling` for one that runs until its worker has heard of it.
    static func status(_ job: JSONValue) -> String {
        job["cancelling"] == .bool(true) ? "cancelling" : job.cell("status")
    }

    /// `2/4`: the second of four attempts.
    private static func attempt(_ job: JSONValue) -> String {
        guard let attempt = job.integer("attempt"), attempt > 0 else { return "" }
        guard let retries = job.integer("retries"), attempt <= retries + 1 else { return String(attempt) }
        return "\(attempt)/\(retries + 1)"
    }
}

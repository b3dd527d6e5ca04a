import JSON

/// One execution of a job that has ended, as its history has it.
struct HistoryEntry {
    let line: StateLine
    let job: JobID

    /// `run` names the run of a schedule that the execution was of.
    init(_ text: String, of job: JobID) {
        line = StateLine(text)
        self.job = StateLine(text).int("run").map { JobID(queue: job.queue, number: $0) } ?? job
    }

    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("jobId", .string(job.description))]
        if let token = line.int("token") {
            members.append(.init("executionId", .string(ExecutionID(job: job, token: token).description)))
        }
        members.append(.init("status", .string(line.word)))
        func add(_ name: String, _ value: JSONValue?) {
            if let value, value != .null { members.append(.init(name, value)) }
        }
        add("attempt", line.int("attempt").map { .int($0) })
        add("worker", line.text("worker").map { .string($0) })
        add("startTime", JobRecord.time(line.int("started")))
        add("endTime", JobRecord.time(line.int("ended")))
        if let start = line.int("started"), let end = line.int("ended") { add("durationMs", .int(end - start)) }
        add("error", line.text("error").map { .string($0) })
        add("reason", line.text("reason").map { .string($0) })
        return .object(members)
    }
}

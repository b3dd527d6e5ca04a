import Bytes
import JSON
import Services

/// A job as Redis has it: the fields of its hash, read by name.
public struct JobRecord: Sendable {
    public let id: JobID
    /// When it is due next, ms since the epoch; nil when it can start now or waits for something else.
    public let dueMs: Int?
    let fields: [String: String]
    /// How large a config is that was not read along, in bytes.
    let configBytes: Int?
    private let state: StateLine

    public init(id: JobID, dueMs: Int?, fields: [String: String], configBytes: Int? = nil) {
        self.id = id
        self.configBytes = configBytes
        self.dueMs = dueMs
        self.fields = fields
        state = StateLine(fields["state"] ?? "pending")
    }

    /// One of the lists that `read.lua` answers with; nil when there is no such job.
    init?(queue: QueueName, reply words: [String]) {
        guard words.count > 2, let number = Int(words[0]) else { return nil }
        var fields: [String: String] = [:]
        for i in stride(from: 2, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        self.init(id: JobID(queue: queue, number: number), dueMs: Int(words[1]), fields: fields)
    }

    /// What lists show of a job: all but its result.
    static let listed = [
        "name", "type", "priority", "state", "config", "schedule", "timeZone", "missed", "missedLimit", "overlap",
        "queueLimit", "skippedSlots", "retries", "backoff", "timeout", "retryTimeouts", "after", "created", "version",
        "runs", "succeeded", "failed", "last", "error", "progress", "needs", "unique", "uniqueMs", "conflict", "cache",
        "preemptible", "batch", "fromCache", "of",
    ]

    /// One of the jobs that `list.lua` answers with.
    init?(queue: QueueName, listed words: [String], in set: String) {
        guard words.count == 3 + JobRecord.listed.count, let number = Int(words[0]) else { return nil }
        var fields: [String: String] = [:]
        for (name, value) in zip(JobRecord.listed, words[3...]) where !value.isEmpty { fields[name] = value }
        let isDue = set == "delayed" || set == "schedules"
        self.init(
            id: JobID(queue: queue, number: number), dueMs: isDue ? Int(words[1]) : nil, fields: fields,
            configBytes: Int(words[2]).flatMap { $0 > 0 ? $0 : nil })
    }

    /// A job that has just been created, from what was sent.
    /// - Parameter firstSlotMs: of a schedule.
    init(id: JobID, draft: JobDraft, createdMs: Int, firstSlotMs: Int? = nil) {
        var fields: [String: String] = ["created": String(createdMs)]
        let list = draft.fields()
        for i in stride(from: 0, to: list.count, by: 2) { fields[list[i]] = list[i + 1] }
        if let large = fields.removeValue(forKey: "largeConfig") { fields["config"] = large }
        var dueMs: Int?
        switch draft.timing {
        case .now: if !draft.dependencies.isEmpty { fields["state"] = "waiting" }
        case .at(let ms): dueMs = ms
        case .repeatedly:
            fields["state"] = "scheduled"
            dueMs = firstSlotMs
        case .manually: fields["state"] = "idle"
        }
        self.init(id: id, dueMs: dueMs, fields: fields)
    }

    public var status: JobStatus { state.status }
    public var type: String { fields["type"] ?? "" }
    public var version: Int { fields["version"].flatMap { Int($0) } ?? 1 }
    var mergedInto: String? { fields["mergedInto"] }
    var definition: String? { fields["of"] }
    var token: Int? { state.int("token") }
    var stateLine: StateLine { state }

    /// Executions so far; a schedule counts those of its runs.
    var runCount: Int { count("runs") + attempts }
    var successCount: Int { count("succeeded") + (status == .completed && attempts > 0 ? 1 : 0) }
    var failureCount: Int {
        switch status {
        case .failed, .timeout, .dead, .retrying: count("failed") + attempts
        case .completed, .cancelled, .running: count("failed") + max(0, attempts - 1)
        default: count("failed")
        }
    }
    /// Those since it was made, or run again.
    private var attempts: Int { state.int("attempt") ?? 0 }
    /// Of a schedule's runs, or of the executions before it was run again.
    private func count(_ name: String) -> Int { fields[name].flatMap { Int($0) } ?? 0 }
    var lastRunMs: Int? { fields["last"].flatMap { Int($0) } ?? state.int("started") }
}

/// A state as it stands in a job's hash or a line of its history: a word, then `name=value`; `reason` and `error` are
/// last and take the rest of the line.
struct StateLine: Sendable {
    let word: String
    private var values: [String: String] = [:]

    init(_ line: String) {
        var rest = line[...]
        var first = ""
        while !rest.isEmpty {
            let part = rest.prefix { $0 != " " }
            guard let equals = part.firstIndex(of: "=") else {
                if first.isEmpty { first = String(part) }
                rest = rest.dropFirst(part.count + 1)
                continue
            }
            let name = String(part[..<equals])
            if name == "reason" || name == "error" {
                let text = rest[rest.index(after: equals)...]
                // A reason may be followed by an error, which is the last of all.
                if name == "reason", let error = text.range(of: " error=") {
                    values["reason"] = String(text[..<error.lowerBound])
                    values["error"] = String(text[error.upperBound...])
                } else {
                    values[name] = String(text)
                }
                break
            }
            values[name] = String(part[part.index(after: equals)...])
            rest = rest.dropFirst(part.count + 1)
        }
        word = first
    }

    var status: JobStatus { JobStatus(rawValue: word) ?? .pending }

    func text(_ name: String) -> String? { values[name] }
    func int(_ name: String) -> Int? { values[name].flatMap { Int($0) } }
}

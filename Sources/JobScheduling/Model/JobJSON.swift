import Bytes
import JSON

extension JobRecord {
    /// The job as the API shows it.
    public var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id.description)), .init("name", text("name")), .init("type", .string(type)),
            .init("priority", .string(fields["priority"] ?? Priority.normal.rawValue)),
            .init("queue", .string(id.queue.text)), .init("status", .string(status.rawValue)),
            // A list says of a large config only how large it is.
            configBytes.map { .init("configBytes", .int($0)) }
                ?? .init("config", JobRecord.parsed(fields["config"]) ?? .object([])),
            .init("schedule", text("schedule")), .init("retries", int("retries") ?? .int(3)),
            .init("backoff", backoff), .init("timeout", int("timeout") ?? .null),
            .init("dependencies", .array(dependencies)),
            .init("createdAt", JobRecord.time(fields["created"].flatMap { Int($0) })),
            .init("lastRun", JobRecord.time(lastRunMs)), .init("nextRun", JobRecord.time(dueMs)),
            .init("runCount", .int(runCount)), .init("successCount", .int(successCount)),
            .init("failureCount", .int(failureCount)), .init("version", .int(version)),
        ]
        func add(_ name: String, _ value: JSONValue?) {
            if let value, value != .null { members.append(.init(name, value)) }
        }
        if fields["schedule"] != nil {
            add("timeZone", .string(fields["timeZone"] ?? "UTC"))
            add("missed", .string(fields["missed"] ?? MissedSlots.latest.rawValue))
            add("overlap", .string(fields["overlap"] ?? Overlap.allow.rawValue))
            add("skippedSlots", int("skippedSlots"))
        }
        add("attempt", stateLine.int("attempt").map { .int($0) })
        add("startedAt", JobRecord.time(stateLine.int("started")))
        add("endedAt", JobRecord.time(stateLine.int("ended")))
        add("worker", stateLine.text("worker").map { .string($0) })
        add("lostLeases", stateLine.int("lost").flatMap { $0 == 0 ? nil : .int($0) })
        add("reason", stateLine.text("reason").map { .string($0) })
        add("error", text("error"))
        add("progress", JobRecord.parsed(fields["progress"]))
        add("resources", resources)
        add("unique", fields["unique"].map { .string($0) })
        add("batch", text("batch"))
        if let from = fields["fromCache"] {
            add("fromCache", .bool(true))
            add("cachedFrom", .string(JobID(queue: id.queue, number: Int(from) ?? 0).description))
        }
        if let definition {
            add("scheduledBy", .string(JobID(queue: id.queue, number: Int(definition) ?? 0).description))
        }
        if status == .running, stateLine.int("cancelled") != nil { add("cancelling", .bool(true)) }
        return .object(members)
    }

    /// The result of the last completed execution, if its kind gave one.
    var result: JSONValue? { JobRecord.parsed(fields["result"]) }

    private func text(_ name: String) -> JSONValue { fields[name].map { .string($0) } ?? .null }
    private func int(_ name: String) -> JSONValue? { fields[name].flatMap { Int($0) }.map { .int($0) } }

    private var backoff: JSONValue {
        let backoff = fields["backoff"].flatMap { Backoff(text: $0) } ?? .standard
        return .object([
            .init("kind", .string(backoff.kind.rawValue)), .init("baseMs", .int(backoff.baseMs)),
            .init("maxMs", .int(backoff.maxMs)),
        ])
    }

    private var dependencies: [JSONValue] {
        (fields["after"] ?? "").split(separator: " ").map { part in
            let words = part.split(separator: ":").map(String.init)
            var number = Int(words[0])
            // The place of a job of the same request, from 1; this one's own place is not kept, so it is told as such.
            if words[0].hasPrefix("#") { number = nil }
            return .object([
                .init(
                    "id", .string(number.map { JobID(queue: id.queue, number: $0).description } ?? words[0])),
                .init("on", .string(words.last ?? "success")),
            ])
        }
    }

    private var resources: JSONValue? {
        guard let needs = fields["needs"] else { return nil }
        return .object(
            needs.split(separator: " ").compactMap { part in
                let words = part.split(separator: "=").map(String.init)
                return words.count == 2 ? .init(words[0], .int(Int(words[1]) ?? 0)) : nil
            })
    }

    static func parsed(_ text: String?) -> JSONValue? {
        guard let text, !text.isEmpty else { return nil }
        return try? text.withByteView { view throws(JSONError) in try JSONValue(parsing: view) }
    }

    /// A time of ours (ms) as the API writes it; null for none.
    static func time(_ ms: Int?) -> JSONValue {
        guard let ms else { return .null }
        let text = ByteBuffer(capacity: 32)
        Timestamp(us: Int64(ms) * 1000).appendRFC3339(to: text)
        return .string(text.view.string)
    }
}

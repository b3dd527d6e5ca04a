import Bytes
import JSON

/// A new job as the flags of `jobs add` say it. Its values are checked by the service; here only what could not be sent.
struct JobRequest {
    let body: JSONValue
    let headers: [(String, String)]

    static let flags: [Flag] = [
        Flag("name", "NAME", "what it is called"),
        Flag("type", "TYPE", "what kind of job it is"),
        Flag("config", "JSON", "its type's settings: JSON, @FILE, or - for standard input"),
        Flag("priority", "WORD", "critical, high, normal (default) or low"),
        Flag("queue", "NAME", "default: default"),
        Flag("schedule", "CRON", "run again and again: five fields in quotes, or @every 1m"),
        Flag("time-zone", "ZONE", "of the schedule (default UTC)"),
        Flag("run-at", "TIME", "run then, such as 2026-01-31T09:00:00Z"),
        Flag("retries", "N", "how often it is tried again (default 3)"),
        Flag("timeout", "TIME", "how long an attempt may take: 30s, 5m, or milliseconds"),
        Flag("depends-on", "ID…", "start once that job has completed, or ID:failure, ID:completion; again for more"),
        Flag("manual", nil, "run only when told to"),
        Flag("unique", "KEY", "no second one of this key until it has ended"),
        Flag("idempotency-key", "KEY", "the same key makes one job, however often it is sent"),
        Flag("wait", nil, "follow it to its end; exit code 1 if it did not complete"),
    ]

    /// - Parameter readFile: the bytes at a path; of standard input for `-`.
    init(_ arguments: CommandArguments, readFile: (String) throws -> [UInt8]) throws {
        var members: [JSONValue.Member] = []
        for name in ["name", "type"] {
            guard let text = arguments[name] else { throw UsageError(description: "jobs add needs --\(name)") }
            members.append(.init(name, .string(text)))
        }
        if let text = arguments["config"] { members.append(.init("config", try JobRequest.config(text, readFile))) }
        for (flag, member) in [
            ("priority", "priority"), ("queue", "queue"), ("schedule", "schedule"), ("time-zone", "timeZone"),
            ("run-at", "runAt"),
        ] {
            if let text = arguments[flag] { members.append(.init(member, .string(text))) }
        }
        if let retries = try arguments.integer("retries", 0...100) { members.append(.init("retries", .int(retries))) }
        if let timeout = arguments["timeout"] {
            members.append(.init("timeout", Int(timeout).map { .int($0) } ?? .string(timeout)))
        }
        let dependencies = arguments.all("depends-on").flatMap { $0.split(separator: ",") }.map(JobRequest.dependency)
        if !dependencies.isEmpty { members.append(.init("dependencies", .array(dependencies))) }
        if arguments.has("manual") { members.append(.init("manual", .bool(true))) }
        if let key = arguments["unique"] {
            members.append(.init("unique", .object([.init("key", .string(key))])))
        }
        if arguments.has("wait"), arguments.has("manual") || arguments.has("schedule") {
            throw UsageError(description: "--wait is for a job that ends; a manual one or a schedule does not")
        }
        body = .object(members)
        headers = try JobRequest.idempotency(arguments)
    }

    /// The header that makes a request one, however often it is sent.
    static func idempotency(_ arguments: CommandArguments) throws(UsageError) -> [(String, String)] {
        guard let key = arguments["idempotency-key"] else { return [] }
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UsageError(description: "--idempotency-key must be visible ASCII characters")
        }
        return [("Idempotency-Key", key)]
    }

    private static func config(_ text: String, _ readFile: (String) throws -> [UInt8]) throws -> JSONValue {
        var bytes = Array(text.utf8)
        if text == "-" || text.hasPrefix("@") {
            do { bytes = try readFile(text == "-" ? "-" : String(text.dropFirst())) } catch {
                throw CommandFailure(description: "\(error)")
            }
        }
        do { return try bytes.withByteView { try JSONValue(parsing: $0) } } catch {
            throw UsageError(description: "--config: \(error)")
        }
    }

    /// `ID`, or `ID:CONDITION`.
    private static func dependency(_ text: Substring) -> JSONValue {
        guard let colon = text.lastIndex(of: ":") else { return .string(String(text)) }
        return .object([
            .init("id", .string(String(text[..<colon]))),
            .init("on", .string(String(text[text.index(after: colon)...]))),
        ])
    }
}

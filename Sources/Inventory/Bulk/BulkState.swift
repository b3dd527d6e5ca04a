import JSON

/// How far a bulk is.
struct BulkState: Sendable {
    enum Status: String, Sendable {
        /// All rows of an atomic one are tried out before the first is done.
        case checking
        case running
        /// An atomic one met a row that could not be done: those before it are undone.
        case compensating
        case completed
        /// Of an atomic one: nothing of it is left.
        case failed
        case rollingBack = "rolling-back"
        case rolledBack = "rolled-back"

        var isEnd: Bool { self == .completed || self == .failed || self == .rolledBack }
    }

    var id: String
    var status: Status
    var isAtomic = false
    /// Rows as they were sent, and chunks of those that could be read.
    var total = 0
    var chunks = 0
    /// The chunk that is next; when undoing, how many chunks are left.
    var place = 0
    var successful = 0
    var failed = 0
    var undone = 0
    /// Rows that could not be undone.
    var kept = 0
    var actor = ""
    /// The key that its request came with.
    var key: String?
    /// Whether its request did it before the answer; else it is of the background.
    var isOfRequest = false
    /// ms since 1970.
    var createdMs = 0
    var endedMs: Int?

    static let rowsPerChunk = 500
    /// For how long a row that is tried again finds itself done.
    static let keptMs = 7 * 86_400_000

    init(id: String, status: Status) {
        self.id = id
        self.status = status
    }

    /// - Parameter words: of HGETALL; nil for a hash that is no bulk.
    init?(id: String, _ words: [String]) {
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        func int(_ name: String) -> Int { fields[name].flatMap { Int($0) } ?? 0 }
        guard let status = fields["status"].flatMap({ Status(rawValue: $0) }) else { return nil }
        self.init(id: id, status: status)
        isAtomic = fields["mode"] == "atomic"
        total = int("total")
        chunks = int("chunks")
        place = int("place")
        successful = int("successful")
        failed = int("failed")
        undone = int("undone")
        kept = int("kept")
        actor = fields["actor"] ?? ""
        key = fields["key"]
        isOfRequest = fields["request"] == "1"
        createdMs = int("created")
        endedMs = fields["ended"].flatMap { Int($0) }
    }

    /// Names and values in Redis.
    var fields: [String] {
        [
            "status", status.rawValue, "mode", isAtomic ? "atomic" : "partial", "total", String(total), "chunks",
            String(chunks), "place", String(place), "successful", String(successful), "failed", String(failed),
            "undone", "0", "kept", "0", "actor", actor,
        ] + (key.map { ["key", $0] } ?? []) + (isOfRequest ? ["request", "1"] : [])
    }

    /// As the API shows it.
    func json(errors: [JSONValue]) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id)), .init("status", .string(status.rawValue)),
            .init("mode", .string(isAtomic ? "atomic" : "partial")), .init("total", .int(total)),
            .init("processed", .int(min(total, successful + failed))), .init("successful", .int(successful)),
            .init("failed", .int(failed)),
            .init("progress", .double(total == 0 ? 1 : min(1, Double(successful + failed) / Double(total)))),
        ]
        if status == .rollingBack || status == .rolledBack || status == .compensating || undone + kept > 0 {
            members.append(.init("rolledBack", .int(undone)))
            members.append(.init("notRolledBack", .int(kept)))
        }
        members.append(.init("createdAt", .string(HoldJSON.time(createdMs).rfc3339)))
        if let endedMs { members.append(.init("endedAt", .string(HoldJSON.time(endedMs).rfc3339))) }
        members.append(.init("errors", .array(errors)))
        if failed > errors.count { members.append(.init("errorsNotTold", .int(failed - errors.count))) }
        return .object(members)
    }
}

import Bytes
import JSON
import Services
import TimeZones

/// Reads a job as users write it. The one place where a job's values are checked, but for what only its kind knows.
struct JobDraftParser {
    /// Members that a client may send back as it got them.
    private static let readBack = [
        "id", "status", "createdAt", "updatedAt", "version", "lastRun", "nextRun", "runCount", "successCount",
        "failureCount", "attempt", "error", "result", "progress", "history", "startedAt", "endedAt", "worker",
        "lostLeases", "reason", "batch", "fromCache", "cachedFrom", "scheduledBy", "cancelling", "skippedSlots",
    ]

    /// - Parameters:
    ///   - nowMs: for a first slot; from Redis's clock or ours, which decides nothing else.
    ///   - isEdit: whether members that are read back are let pass.
    static func parse(_ value: JSONValue, of name: String? = nil, isEdit: Bool = false) throws(Problem) -> ParsedJob {
        var fields = try Fields(value, of: name)
        var draft = JobDraft(
            name: try fields.string("name").required(fields.name("name")),
            type: try fields.string("type", max: 64).required(fields.name("type")))
        guard QueueName.isName(draft.type) else {
            throw .impossible(fields.name("type"), "must be lower case letters, digits and _ . -")
        }
        draft.priority = try word(&fields, "priority") ?? .normal
        draft.queue = try queue(&fields)
        draft.config = try config(&fields)
        draft.retries = try fields.int("retries", in: 0...100) ?? 3
        draft.backoff = try backoff(&fields)
        draft.timeoutMs = try fields.durationMs("timeout", in: 1...604_800_000)
        draft.retriesTimeouts = try fields.bool("retryOnTimeout") ?? false
        let dependencies = try dependencies(&fields, queue: draft.queue)
        draft.unique = try unique(&fields)
        draft.conflict = try conflict(&fields)
        draft.resources = try resources(&fields)
        draft.isPreemptible = try fields.bool("preemptible") ?? false
        draft.durability = try word(&fields, "durability") ?? .memory
        if var cache = try fields.object("cache") {
            let forMs = try cache.durationMs("forMs", in: 1...604_800_000).required(cache.name("forMs"))
            try cache.finish()
            draft.cache = (forMs, ConfigDigest.of(type: draft.type, config: draft.config))
        }
        draft.timing = try timing(&fields)
        if isEdit { for member in readBack { fields.ignore(member) } }
        try fields.finish()
        return ParsedJob(draft, dependencies: dependencies)
    }

    /// One of a set of words; another one is understood and impossible.
    private static func word<Word: RawRepresentable & CaseIterable>(
        _ fields: inout Fields, _ member: String
    ) throws(Problem) -> Word? where Word.RawValue == String {
        guard let text = try fields.string(member) else { return nil }
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw .impossible(fields.name(member), "must be one of \(known), not \(text)")
        }
        return word
    }

    private static func queue(_ fields: inout Fields) throws(Problem) -> QueueName {
        guard let text = try fields.string("queue", max: 64) else { return .standard }
        guard let queue = QueueName(text) else {
            throw .field(fields.name("queue"), "must be lower case letters, digits and _ . -")
        }
        return queue
    }

    private static func config(_ fields: inout Fields) throws(Problem) -> String {
        guard let value = fields.value("config") else { return "{}" }
        guard case .object = value else { throw .field(fields.name("config"), "must be an object") }
        let text = value.text()
        guard text.utf8.count <= 524_288 else { throw .field(fields.name("config"), "must be at most 512 KiB") }
        return text
    }

    private static func backoff(_ fields: inout Fields) throws(Problem) -> Backoff {
        guard var object = try fields.object("backoff") else { return .standard }
        var backoff = Backoff()
        backoff.kind = try word(&object, "kind") ?? .exponential
        backoff.baseMs = try object.durationMs("baseMs", in: 1...86_400_000) ?? 1000
        backoff.maxMs = try object.durationMs("maxMs", in: 1...604_800_000) ?? max(30_000, backoff.baseMs)
        guard backoff.maxMs >= backoff.baseMs else {
            throw .field(object.name("maxMs"), "must not be below baseMs")
        }
        try object.finish()
        return backoff
    }

    private static func dependencies(
        _ fields: inout Fields, queue: QueueName
    ) throws(Problem) -> [ParsedJob.NamedDependency] {
        guard let elements = try fields.array("dependencies", maxCount: 1000) else { return [] }
        var dependencies: [ParsedJob.NamedDependency] = []
        for (i, element) in elements.enumerated() {
            let name = "\(fields.name("dependencies"))[\(i)]"
            var condition = Dependency.Condition.success
            let text: String
            switch element {
            case .string(let id): text = id
            default:
                var object = try Fields(element, of: name)
                text = try object.string("id").required(object.name("id"))
                condition = try word(&object, "on") ?? .success
                try object.finish()
            }
            guard let id = JobID(text) else {
                dependencies.append(.init(field: name, subject: .name(text), condition: condition))
                continue
            }
            guard id.queue == queue else {
                throw .impossible(name, "must be a job of the same queue, \(queue); it is in \(id.queue)")
            }
            dependencies.append(.init(field: name, subject: .job(id), condition: condition))
        }
        return dependencies
    }

    private static func unique(_ fields: inout Fields) throws(Problem) -> JobDraft.Unique? {
        guard var object = try fields.object("unique") else { return nil }
        let key = try object.string("key").required(object.name("key"))
        let forMs = try object.durationMs("forMs", in: 1...604_800_000)
        if let until = try object.string("until"), until != "finished" || forMs != nil {
            throw .field(object.name("until"), "must be finished, and only without forMs")
        }
        try object.finish()
        return JobDraft.Unique(key: key, forMs: forMs)
    }

    private static func conflict(_ fields: inout Fields) throws(Problem) -> JobDraft.Conflict? {
        guard var object = try fields.object("conflict") else { return nil }
        let name = try object.string("name").required(object.name("name"))
        let strategy: ConflictStrategy = try word(&object, "strategy") ?? .queue
        let delayMs = try object.durationMs("delayMs", in: 0...86_400_000) ?? 0
        try object.finish()
        return JobDraft.Conflict(name: name, strategy: strategy, delayMs: delayMs)
    }

    private static func resources(_ fields: inout Fields) throws(Problem) -> [(pool: String, units: Int)] {
        guard let value = fields.value("resources") else { return [] }
        guard case .object(let members) = value, members.count <= 16 else {
            throw .field(fields.name("resources"), "must be an object of at most 16 pools")
        }
        var resources: [(String, Int)] = []
        for member in members {
            let name = "\(fields.name("resources")).\(member.key)"
            guard QueueName.isName(member.key) else { throw .field(name, "is no name of a pool") }
            guard case .int(let units) = member.value, (1...1_000_000_000).contains(units) else {
                throw .field(name, "must be an integer from 1 to 1000000000")
            }
            resources.append((member.key, units))
        }
        return resources
    }

    private static func timing(_ fields: inout Fields) throws(Problem) -> JobDraft.Timing {
        let isManual = try fields.bool("manual") ?? false
        let zone = try fields.string("timeZone", max: 64)
        let at = try fields.string("runAt", max: 64)
        let text = try fields.string("schedule")
        let missed: MissedSlots? = try word(&fields, "missed")
        let missedLimit = try fields.int("missedLimit", in: 1...1000)
        let overlap: Overlap? = try word(&fields, "overlap")
        let queueLimit = try fields.int("queueLimit", in: 1...1000)
        guard let text else {
            for (name, isGiven) in [
                ("timeZone", zone != nil), ("missed", missed != nil), ("missedLimit", missedLimit != nil),
                ("overlap", overlap != nil), ("queueLimit", queueLimit != nil),
            ] where isGiven {
                throw .field(fields.name(name), "says something of a schedule, and there is none")
            }
            if isManual, at != nil { throw .field(fields.name("runAt"), "cannot be given for a manual job") }
            guard let at else { return isManual ? .manually : .now }
            guard let moment = at.withByteView({ Timestamp(rfc3339: $0) }) else {
                throw .field(fields.name("runAt"), "must be a time such as 2026-01-31T09:00:00Z, with its offset")
            }
            return .at(Int(moment.us / 1000))
        }
        if isManual || at != nil {
            throw .field(fields.name(isManual ? "manual" : "runAt"), "cannot be given together with schedule")
        }
        let schedule: Schedule
        do { schedule = try Schedule(text) } catch {
            throw .impossible(fields.name("schedule"), "is refused: \(error)")
        }
        guard Zone(identifier: zone ?? "UTC") != nil else {
            throw .impossible(fields.name("timeZone"), "is no time zone that is known: \(zone ?? "")")
        }
        return .repeatedly(
            JobDraft.Repetition(
                schedule: schedule, text: text, timeZone: zone ?? "UTC", missed: missed ?? .latest,
                missedLimit: missedLimit ?? 1000, overlap: overlap ?? .allow, queueLimit: queueLimit ?? 10))
    }
}

import JSON
import Services

/// A job as somebody wants it: every value checked, nothing stored yet. `ParsedJob` is what it was before the names of its
/// dependencies were resolved.
public struct JobDraft: Sendable {
    public var name: String
    public var type: String
    public var priority = Priority.normal
    public var queue = QueueName.standard
    /// As JSON text, members in the order they came.
    public var config = "{}"
    public var timing = Timing.now
    public var retries = 3
    public var backoff = Backoff.standard
    public var timeoutMs: Int?
    public var retriesTimeouts = false
    public var dependencies: [Dependency] = []
    public var unique: Unique?
    public var conflict: Conflict?
    /// Units of the queue's pools that a run takes.
    public var resources: [(pool: String, units: Int)] = []
    /// For how long a result serves other jobs of the same type and config; and the digest of those.
    public var cache: (forMs: Int, digest: String)?
    public var isPreemptible = false
    public var durability = Durability.memory
    public var traceparent: String?

    public struct Unique: Sendable, Equatable {
        public var key: String
        /// nil: until the job has ended.
        public var forMs: Int?
    }

    public struct Conflict: Sendable, Equatable {
        public var name: String
        public var strategy: ConflictStrategy
        public var delayMs: Int
    }

    /// When it runs.
    public enum Timing: Sendable {
        case now
        /// At a time, ms since the epoch.
        case at(Int)
        case repeatedly(Repetition)
        /// When asked to.
        case manually

        var isNow: Bool { if case .now = self { true } else { false } }
    }

    public struct Repetition: Sendable {
        public var schedule: Schedule
        public var text: String
        public var timeZone: String
        public var missed = MissedSlots.latest
        public var missedLimit = 1000
        public var overlap = Overlap.allow
        public var queueLimit = 10
    }

    /// Configs above this have a key of their own, so that the job's hash stays compact.
    static let largestInlineConfig = 512

    /// Whether the scripts have to look at more than type and config.
    var isSpecial: Bool {
        timeoutMs != nil || !dependencies.isEmpty || unique != nil || conflict != nil || !resources.isEmpty
            || cache != nil || isPreemptible || traceparent != nil || config.utf8.count > JobDraft.largestInlineConfig
    }

    /// The fields of the job's hash, defaults left out. `inBatch` names the batch that it is one of, `awaiting` the one whose
    /// end it is to follow.
    func fields(inBatch batch: String? = nil, awaiting awaited: String? = nil) -> [String] {
        var fields = ["name", name, "type", type]
        func add(_ name: String, _ value: String) {
            fields.append(name)
            fields.append(value)
        }
        if isSpecial || batch != nil || awaited != nil { add("special", "1") }
        add(config.utf8.count > JobDraft.largestInlineConfig ? "largeConfig" : "config", config)
        if priority != .normal { add("priority", priority.rawValue) }
        if retries != 3 { add("retries", String(retries)) }
        if backoff != .standard { add("backoff", backoff.text) }
        if let timeoutMs { add("timeout", String(timeoutMs)) }
        if retriesTimeouts { add("retryTimeouts", "1") }
        if !dependencies.isEmpty { add("after", dependencies.map(JobDraft.text).joined(separator: " ")) }
        if let unique {
            add("unique", KeyText.escaped(unique.key))
            if let forMs = unique.forMs { add("uniqueMs", String(forMs)) }
        }
        if let conflict {
            add("conflict", "\(conflict.strategy.rawValue) \(conflict.delayMs) \(KeyText.escaped(conflict.name))")
        }
        if !resources.isEmpty { add("needs", resources.map { "\($0.pool)=\($0.units)" }.joined(separator: " ")) }
        if let cache { add("cache", "\(cache.digest) \(cache.forMs)") }
        if isPreemptible { add("preemptible", "1") }
        if let traceparent { add("trace", traceparent) }
        if let batch { add("batch", batch) }
        if let awaited { add("awaits", awaited) }
        if case .repeatedly(let repetition) = timing {
            add("schedule", repetition.text)
            if repetition.timeZone != "UTC" { add("timeZone", repetition.timeZone) }
            if repetition.missed != .latest { add("missed", repetition.missed.rawValue) }
            if repetition.missedLimit != 1000 { add("missedLimit", String(repetition.missedLimit)) }
            if repetition.overlap != .allow { add("overlap", repetition.overlap.rawValue) }
            if repetition.queueLimit != 10 { add("queueLimit", String(repetition.queueLimit)) }
        }
        return fields
    }

    /// Fields that an edit removes when the draft does not name them.
    static let optionalFields = [
        "special", "config", "priority", "retries", "backoff", "timeout", "retryTimeouts", "needs", "cache",
        "preemptible", "schedule", "timeZone", "missed", "missedLimit", "overlap", "queueLimit",
    ]

    private static func text(_ dependency: Dependency) -> String {
        switch dependency.reference {
        case .job(let id): "\(id.digits):\(dependency.condition.rawValue)"
        case .place(let place): "#\(place):\(dependency.condition.rawValue)"
        }
    }
}

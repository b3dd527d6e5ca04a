import Services

/// How soon a job is to start, once it can. Jobs are taken by deadline: a priority is a promise, not a class that
/// starves the one below.
public enum Priority: String, Sendable, CaseIterable {
    case critical, high, normal, low

    /// How long the job may wait. `TARGET_MS` in `queue.lua` says the same.
    public var targetMs: Int {
        switch self {
        case .critical: 1000
        case .high: 30_000
        case .normal: 300_000
        case .low: 3_600_000
        }
    }
}

/// How long to wait before attempt k + 1: `base · 2^k`, at most `max`, or always `base`; in the upper half of that at
/// random, so that a crowd parts.
public struct Backoff: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable { case exponential, fixed }

    public var kind = Kind.exponential
    public var baseMs = 1000
    public var maxMs = 30_000

    public static let standard = Backoff()

    /// As it stands in the job's hash.
    var text: String { "\(kind.rawValue) \(baseMs) \(maxMs)" }

    init() {}

    init?(text: String) {
        let parts = text.split(separator: " ").map(String.init)
        guard parts.count == 3, let kind = Kind(rawValue: parts[0]), let base = Int(parts[1]), let max = Int(parts[2])
        else { return nil }
        self.kind = kind
        baseMs = base
        maxMs = max
    }
}

/// What a job waits for.
public struct Dependency: Sendable, Equatable {
    public enum Condition: String, Sendable, CaseIterable { case success, failure, completion }

    /// Another job: one that exists, or the one at a place (from 1) of the same request.
    public enum Reference: Sendable, Equatable {
        case job(JobID)
        case place(Int)
    }

    public var reference: Reference
    public var condition: Condition
}

/// What happens to a job that meets another one of its name running.
public enum ConflictStrategy: String, Sendable, CaseIterable {
    /// It waits for the other's end.
    case queue
    /// It starts a given time after the other's end; after three such meetings it is cancelled.
    case reschedule
    case cancel
    /// A job that waits already takes the newer one's config, and both ids name it.
    case merge
}

/// What becomes of slots of a schedule that nobody was there to run (over 30 s late).
public enum MissedSlots: String, Sendable, CaseIterable { case none, latest, all }

/// What becomes of a run whose schedule has one that goes on.
public enum Overlap: String, Sendable, CaseIterable { case allow, forbid, queue, replace }

/// What a job is at, as users see it.
public enum JobStatus: String, Sendable, CaseIterable {
    /// It can start, or will be able to at a time that is known.
    case pending
    /// It is a schedule: its runs are jobs of their own.
    case scheduled
    /// It runs only when asked to.
    case idle
    /// For other jobs, its batch, a resource or another's result.
    case waiting
    case running
    /// An attempt failed; the next one is due later.
    case retrying
    case completed
    case failed
    case timeout
    case cancelled
    /// What it depended on ended otherwise.
    case skipped
    /// Given up without a verdict of its own: it took its workers down with it.
    case dead

    public var hasEnded: Bool {
        switch self {
        case .completed, .failed, .timeout, .cancelled, .skipped, .dead: true
        case .pending, .scheduled, .idle, .waiting, .running, .retrying: false
        }
    }

    /// The sets in which it may be, as their names begin; `fields.lua` says the same.
    var sets: [String] {
        switch self {
        case .pending, .retrying: ["ready", "delayed"]
        case .running: ["leases"]
        case .scheduled: ["schedules"]
        case .waiting: ["waiting"]
        case .idle: ["idle"]
        case .completed, .cancelled, .skipped: ["ended"]
        case .failed, .timeout, .dead: ["dead"]
        }
    }

    /// Whether it stands in the dead letter, from where it can be tried again.
    public var isDeadLetter: Bool { self == .failed || self == .timeout || self == .dead }

    /// What may happen to a job.
    public enum Event: String, Sendable, CaseIterable {
        case lease, complete, failWithRetriesLeft, failForGood, timeOut, release, loseLease, loseLeaseTooOften
        case cancel, dependenciesMet, dependencyFailed, run, retry, replaced
    }

    /// The state table that the scripts follow: what a job is after an event, nil where the event cannot touch it.
    ///
    /// A running job that is cancelled stays `running` until its worker has ended it; `release` and `loseLease` bring a
    /// cancelled one to `cancelled`.
    public func after(_ event: Event, isCancelled: Bool = false) -> JobStatus? {
        switch (self, event) {
        case (.pending, .lease), (.retrying, .lease): .running
        case (.running, .complete): .completed
        case (.running, .failWithRetriesLeft): isCancelled ? .cancelled : .retrying
        case (.running, .failForGood): isCancelled ? .cancelled : .failed
        case (.running, .timeOut): isCancelled ? .cancelled : .timeout
        case (.running, .release), (.running, .loseLease): isCancelled ? .cancelled : .pending
        case (.running, .loseLeaseTooOften): isCancelled ? .cancelled : .dead
        case (.running, .cancel): .running
        case (.pending, .cancel), (.retrying, .cancel), (.waiting, .cancel), (.scheduled, .cancel), (.idle, .cancel):
            .cancelled
        case (.pending, .replaced), (.retrying, .replaced), (.waiting, .replaced): .cancelled
        case (.waiting, .dependenciesMet): .pending
        case (.waiting, .dependencyFailed): .skipped
        case (.idle, .run), (.pending, .run), (.retrying, .run): .pending
        case (.scheduled, .run): .scheduled
        case (_, .run) where hasEnded: .pending
        case (_, .retry) where isDeadLetter: .pending
        default: nil
        }
    }
}

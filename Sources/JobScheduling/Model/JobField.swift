/// The fields of a job's hash. `fields.lua` says the same, and the scripts read and write no others.
enum JobField: String, CaseIterable {
    /// Given by whoever made the job; the runs of a schedule have them as well.
    case name, type, config, priority, retries, backoff, timeout, retryTimeouts, conflict, needs, cache, preemptible,
        trace
    /// Given, and of this job alone. A config above 512 bytes comes as `largeConfig` and is kept in a key of its own.
    case unique, uniqueMs, after, batch, awaits, schedule, timeZone, missed, missedLimit, overlap, queueLimit,
        largeConfig
    /// Kept by the scripts.
    case state, special, created, version, unmet, later, counted, error, result, fromCache, progress, mergedInto, of,
        slot
    case runs, succeeded, failed, cancelled, skipped, last, skippedSlots

    /// Whose a field is: `given`, `own` or `kept`, as above.
    var owner: String {
        switch self {
        case .name, .type, .config, .priority, .retries, .backoff, .timeout, .retryTimeouts, .conflict, .needs, .cache,
            .preemptible, .trace:
            "given"
        case .unique, .uniqueMs, .after, .batch, .awaits, .schedule, .timeZone, .missed, .missedLimit, .overlap,
            .queueLimit, .largeConfig:
            "own"
        case .state, .special, .created, .version, .unmet, .later, .counted, .error, .result, .fromCache, .progress,
            .mergedInto, .of, .slot, .runs, .succeeded, .failed, .cancelled, .skipped, .last, .skippedSlots:
            "kept"
        }
    }
}

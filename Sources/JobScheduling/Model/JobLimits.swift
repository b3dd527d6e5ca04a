/// What whoever makes jobs cannot make more of.
struct JobLimits: Sendable {
    /// Jobs of a queue that have not ended.
    var jobsPerQueue = 1_000_000
    var queues = 1000

    /// - Parameter settings: the process's, which are checked where they are read.
    init(_ settings: [String: String]) {
        if let number = settings["max-jobs-per-queue"].flatMap({ Int($0) }) { jobsPerQueue = number }
        if let number = settings["max-queues"].flatMap({ Int($0) }) { queues = number }
    }
}

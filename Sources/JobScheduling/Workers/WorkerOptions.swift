import Bytes
import Glibc
import Services

/// What a process does as a worker.
struct WorkerOptions: Sendable {
    /// How many executions run at once, over all loops.
    var concurrency = 20
    /// Types to take; nil for every kind that the process knows.
    var types: [String]?
    /// Queues to serve; nil for every one there is.
    var queues: [QueueName]?
    /// How long executions in flight may take at the end before they are handed back.
    var graceMs = 25_000

    static let mostConcurrent = 10_000

    /// The process's settings, nil when it does not work.
    init?(_ settings: [String: String]) throws {
        guard settings["work"] == "true" else { return nil }
        if let text = settings["concurrency"] {
            guard let number = Int(text), (1...WorkerOptions.mostConcurrent).contains(number) else {
                throw Problem.field("concurrency", "must be from 1 to \(WorkerOptions.mostConcurrent)")
            }
            concurrency = number
        }
        types = settings["types"].map { $0.split(separator: ",").map(String.init) }
        if let names = settings["queues"] {
            queues = try names.split(separator: ",").map { name in
                guard let queue = QueueName(String(name)) else {
                    throw Problem.field("queues", "must name queues, not \(name)")
                }
                return queue
            }
        }
        if let text = settings["work-grace"], let ms = Int(text) { graceMs = ms }
    }

    /// How many of the slots are a loop's, so that they add up to `concurrency`.
    func slots(ofLoop index: Int, of count: Int) -> Int {
        concurrency / count + (index < concurrency % count ? 1 : 0)
    }
}

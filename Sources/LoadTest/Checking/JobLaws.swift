/// Every accepted job completed once, and no job that nobody asked for.
enum JobLaws {
    /// A job as Redis has it.
    struct State: Equatable {
        /// The first word of its state: `completed`, `running`; of a job that waits for its turn `pending`.
        var word: String
        /// The first words of its ended executions, oldest first.
        var history: [String] = []
    }

    /// A queue's own counts.
    struct Queue: Equatable {
        /// Jobs ever made.
        var made = 0
        /// Ends ever accepted, by outcome.
        var ended: [String: Int] = [:]
        /// Ended jobs that are still kept; the oldest make room for others above `keptAtMost`.
        var kept = 0
    }

    static let keptAtMost = 10_000

    /// - Parameter states: by id; what is missing does not exist.
    static func judge(_ record: RunRecord, states: [String: State], queues: [String: Queue]) -> [Law] {
        let accepted = record.jobs.filter { $0.fate == .accepted }
        return [
            done(record, accepted, states, queues), once(record, accepted, states, queues), keys(record, accepted),
        ]
    }

    private static func done(
        _ record: RunRecord, _ accepted: [RunRecord.Job], _ states: [String: State], _ queues: [String: Queue]
    ) -> Law {
        var law = Law("every accepted job is completed", about: "\(accepted.count) jobs")
        for job in accepted {
            if let state = states[job.id] {
                if state.word != "completed" { law.violated("\(job.id) is \(state.word)") }
            } else if (queues[job.queue]?.kept ?? 0) < keptAtMost {
                // Where the oldest have made room, the queue's counts speak for them.
                law.missing("\(job.id) does not exist", mayLose: record.toleratesLoss)
            }
        }
        return law
    }

    private static func once(
        _ record: RunRecord, _ accepted: [RunRecord.Job], _ states: [String: State], _ queues: [String: Queue]
    ) -> Law {
        var law = Law("no job is made or completed twice", about: "\(record.queues.count) queues")
        for (id, state) in states.sorted(by: { $0.key < $1.key }) {
            let completions = (state.word == "completed" ? 1 : 0) + state.history.count { $0 == "completed" }
            if completions > 1 { law.violated("\(id) was completed \(completions) times") }
        }
        for name in record.queues {
            let queue = queues[name] ?? Queue()
            let told = accepted.count { $0.queue == name }
            let unknown = record.jobs.count { $0.queue == name && $0.fate == .unknown }
            let ended = queue.ended.values.reduce(0, +)
            if queue.made > told + unknown {
                law.violated("\(name) has made \(queue.made) jobs for \(told) accepted and \(unknown) unknown ones")
            }
            if ended > queue.made { law.violated("\(name) has ended \(ended) of \(queue.made) jobs") }
            if queue.made < told {
                law.missing("\(name) has made \(queue.made) of \(told) jobs", mayLose: record.toleratesLoss)
            }
            for (outcome, count) in queue.ended.sorted(by: { $0.key < $1.key }) where outcome != "completed" {
                law.violated("\(name): \(count) jobs are \(outcome)")
            }
        }
        return law
    }

    /// Each key has a job of its own. Where Redis has forgotten a job, its number may be another's by now.
    private static func keys(_ record: RunRecord, _ accepted: [RunRecord.Job]) -> Law {
        var law = Law("each key has one job", about: "\(accepted.count) keys")
        var owners: [String: String] = [:]
        for job in accepted {
            if let other = owners.updateValue(job.key, forKey: job.id) {
                law.missing("\(job.id) was given to \(other) and to \(job.key)", mayLose: record.toleratesLoss)
            }
        }
        return law
    }
}

import Services

/// The keys of the job scheduler. All of a queue begin alike and lie in one slot; `lua/README.md` has the table.
struct QueueKeys: Sendable {
    let prefix: String

    /// What every key of a queue begins with: `qm:jobs:{default}:`.
    func base(_ queue: QueueName) -> String { "\(prefix)jobs:{\(queue.text)}:" }

    /// What durability is asked about.
    func durable(_ queue: QueueName) -> String { base(queue) + "durable" }

    /// Presence of workers, with whatever queue they serve. No queue has such a name.
    var workers: String { prefix + "workers:{all}:" }

    /// The names of all queues that ever had a job: written before the first one is.
    var queues: String { prefix + "jobs:queues" }

    /// The answer under an idempotency key, in the slot of the queue that it is about.
    func answer(_ key: IdempotencyKey, _ queue: QueueName) -> String { "\(prefix)idem:{\(queue.text)}:\(key.name)" }

    /// Which body a key was first used with, whatever queue it names.
    func claim(_ key: IdempotencyKey) -> String { "\(prefix)idem:{\(key.name)}" }
}

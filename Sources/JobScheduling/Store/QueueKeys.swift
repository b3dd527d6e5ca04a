import Services

/// The keys of the job scheduler. All of a queue begin alike and lie in one slot; `lua/README.md` has the table.
struct QueueKeys: Sendable {
    let prefix: String

    /// What every key of a queue begins with: `qm:jobs:{default}:`.
    func base(_ queue: QueueName) -> String { "\(prefix)jobs:{\(queue.text)}:" }

    /// What a script is given as KEYS: the beginning of the keys that it touches, a record of an answer in the same slot
    /// where there is one, and the guard, which never exists. While a slot is being moved Redis refuses a call that names
    /// several keys of which one is missing, so a script acts on all of a queue or not at all.
    static func ofScript(_ base: String, record: String? = nil) -> [String] {
        [base] + (record.map { [$0] } ?? []) + [base + "whole"]
    }

    /// What durability is asked about: jobs of a queue, whose scripts tell which server has run them.
    func durable(_ queue: QueueName) -> DurableEffect {
        DurableEffect(marker: base(queue) + "durable", never: base(queue) + "whole", proof: nil)
    }

    /// Presence of workers, with whatever queue they serve. No queue has such a name.
    var workers: String { prefix + "workers:{all}:" }

    /// The names of all queues that ever had a job: written before the first one is.
    var queues: String { prefix + "jobs:queues" }

    /// The answer under an idempotency key, in the slot of the queue that it is about.
    func answer(_ key: IdempotencyKey, _ queue: QueueName) -> String { "\(prefix)idem:{\(queue.text)}:\(key.name)" }

    /// Which body a key was first used with, whatever queue it names.
    func claim(_ key: IdempotencyKey) -> String { "\(prefix)idem:{\(key.name)}" }
}

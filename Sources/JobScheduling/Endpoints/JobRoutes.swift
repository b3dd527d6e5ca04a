import Services

/// The routes of the job scheduler on one loop.
final class JobRoutes {
    private let jobs: JobEndpoints
    private let bulk: BulkEndpoints
    private let queues: QueueEndpoints
    private let workers: WorkerEndpoints
    private let leases: LeaseEndpoint
    private let events: JobEventsEndpoint

    init(store: JobStore, kinds: KindRegistry) {
        let types = ExternalTypes(store: store)
        jobs = JobEndpoints(store: store, kinds: kinds, types: types)
        bulk = BulkEndpoints(store: store, kinds: kinds, types: types)
        queues = QueueEndpoints(store: store, kinds: kinds)
        leases = LeaseEndpoint(store: store)
        workers = WorkerEndpoints(store: store, leases: leases)
        events = JobEventsEndpoint(store: store)
    }

    func add(to routes: Routes) {
        // Before `/api/jobs/{id}`, whose shape they share.
        events.add(to: routes)
        bulk.add(to: routes)
        jobs.add(to: routes)
        queues.add(to: routes)
        leases.add(to: routes)
        workers.add(to: routes)
        CronEndpoint.add(to: routes)
    }

    func drain() {
        events.closeAll()
        workers.drain()
        leases.drain()
    }

    func stop() { leases.stop() }

    /// There is a queue that was not known before.
    func hasQueue(_ queue: QueueName) { leases.hasQueue(queue) }
}

/// Types of job that workers in other languages run, by queue: those whose settings say so.
final class ExternalTypes {
    private let store: JobStore

    init(store: JobStore) { self.store = store }

    /// The external types of a queue; asked for only when a type is none of our kinds.
    func names(_ queue: QueueName) async throws -> Set<String> {
        let key = store.keys.base(queue) + "types"
        let reply = try await store.context.redis.send(["HGETALL", key], key: key, budgetUs: JobStore.budgetUs)
        let words = reply.words
        var names: Set<String> = []
        for i in stride(from: 0, to: words.count - 1, by: 2) where words[i + 1].contains("external=1") {
            names.insert(words[i])
        }
        return names
    }
}

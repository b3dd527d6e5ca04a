import HTTP
import JSON
import Redis
import Services

/// Lists of jobs. Every job is in exactly one sorted set of its queue, so a list walks those, page by page, and never the
/// keyspace.
final class JobLists {
    private let store: JobStore

    init(store: JobStore) { self.store = store }

    /// What is asked for.
    private struct Filter {
        var status: JobStatus?
        var type: String?
        var name: String?
        var isDeadLetter = false

        func takes(_ job: JobRecord) -> Bool {
            // The runs of schedules are their schedules' history.
            if job.mergedInto != nil { return false }
            if let status, job.status != status { return false }
            if let type, job.type != type { return false }
            if let name, job.fields["name"] != name { return false }
            return true
        }
    }

    /// Where a page begins: a queue, one of its sets, and a place there.
    private struct Place {
        var queue: String
        var set: String
        var rank: Int

        init(queue: String, set: String, rank: Int) {
            self.queue = queue
            self.set = set
            self.rank = rank
        }

        init?(_ cursor: String) {
            let parts = cursor.split(separator: "~").map(String.init)
            guard parts.count == 3, let rank = Int(parts[2]), rank >= 0 else { return nil }
            self.init(queue: parts[0], set: parts[1], rank: rank)
        }

        var cursor: String { "\(queue)~\(set)~\(rank)" }
    }

    func jobs(_ exchange: Exchange) async throws {
        var filter = Filter()
        if let text = exchange.queryItem("status") {
            guard let status = JobStatus(rawValue: text) else {
                let known = JobStatus.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.field("status", "must be one of \(known)")
            }
            filter.status = status
        }
        filter.type = exchange.queryItem("type")
        filter.name = exchange.queryItem("name")
        try await list(exchange, filter)
    }

    func dead(_ exchange: Exchange) async throws {
        var filter = Filter()
        filter.isDeadLetter = true
        filter.type = exchange.queryItem("type")
        try await list(exchange, filter)
    }

    private func list(_ exchange: Exchange, _ filter: Filter) async throws {
        let page = try Page(exchange)
        var start: Place?
        if let cursor = page.cursor {
            guard let place = Place(cursor) else { throw Problem.field("cursor", "is not one that was given out") }
            start = place
        }
        var queues = try await store.queues()
        if let name = exchange.queryItem("queue") {
            guard let queue = QueueName(name) else { throw Problem.field("queue", "is no name of a queue") }
            queues = queues.filter { $0 == queue }
        }
        var found: [JobRecord] = []
        var looked = 0
        for queue in queues where start == nil || queue.text >= start!.queue {
            let sets = try await sets(queue, filter)
            var first = 0
            if let place = start, place.queue == queue.text { first = sets.firstIndex(of: place.set) ?? 0 }
            for set in sets[first...] {
                var rank = start?.queue == queue.text && start?.set == set ? start!.rank : 0
                while true {
                    let numbers = try await members(queue, set, rank, min(200, page.limit))
                    if numbers.isEmpty { break }
                    var jobs: [Int: JobRecord] = [:]
                    for job in try await store.read(queue, numbers) { jobs[job.id.number] = job }
                    for number in numbers {
                        rank += 1
                        if let job = Int(number).flatMap({ jobs[$0] }), filter.takes(job) { found.append(job) }
                        if found.count == page.limit { break }
                    }
                    looked += numbers.count
                    if found.count == page.limit || looked >= 20_000 {
                        let next = Place(queue: queue.text, set: set, rank: rank)
                        return JobLists.reply(exchange, found, page, next)
                    }
                }
            }
        }
        JobLists.reply(exchange, found, page, nil)
    }

    private static func reply(_ exchange: Exchange, _ jobs: [JobRecord], _ page: Page, _ next: Place?) {
        exchange.beginReply(200)
        if let next {
            page.addNextLink(next.cursor, to: exchange, keeping: ["queue", "status", "type", "name"])
        }
        exchange.finishReply(contentType: "application/json") { JSONValue.array(jobs.map(\.json)).write(to: $0) }
    }

    private func members(_ queue: QueueName, _ set: String, _ rank: Int, _ count: Int) async throws -> [String] {
        let key = store.keys.base(queue) + set
        // What ended last is what is asked for first.
        let command = set == "ended" || set == "dead" ? "ZREVRANGE" : "ZRANGE"
        let reply = try await store.context.redis.send(
            [command, key, String(rank), String(rank + count - 1)], key: key, budgetUs: JobStore.budgetUs)
        return reply.strings ?? []
    }

    /// The sets in which jobs that are asked for may be.
    private func sets(_ queue: QueueName, _ filter: Filter) async throws -> [String] {
        if filter.isDeadLetter { return ["dead"] }
        var types: [String] = []
        if let type = filter.type {
            types = [type]
        } else {
            let key = store.keys.base(queue) + "types"
            types = try await store.context.redis.send(["HKEYS", key], key: key, budgetUs: JobStore.budgetUs).words
        }
        let ready = types.filter { !$0.isEmpty }.sorted().map { "ready:" + $0 }
        let leases = types.filter { !$0.isEmpty }.sorted().map { "leases:" + $0 }
        switch filter.status {
        case nil: return leases + ready + ["delayed", "waiting", "schedules", "idle", "ended", "dead"]
        case .pending: return ready + ["delayed"]
        case .retrying: return ["delayed"] + ready
        case .running: return leases
        case .waiting: return ["waiting"]
        case .scheduled: return ["schedules"]
        case .idle: return ["idle"]
        case .completed, .cancelled, .skipped: return ["ended"]
        case .failed, .timeout, .dead: return ["dead"]
        }
    }
}

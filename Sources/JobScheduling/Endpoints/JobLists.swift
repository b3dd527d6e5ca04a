import Bytes
import EventLoops
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
    }

    /// After so many bytes of jobs a page ends, however many were asked for.
    private static let pageBytes = 1 << 20
    /// How many jobs a page looks at when few of them are wanted, and how many one call does.
    private static let mostLooked = 20_000
    private static let mostInACall = 200

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
        let start = try page.place(JobPlace.init)
        var queues = try await store.queues()
        if let name = exchange.queryItem("queue") {
            guard let queue = QueueName(name) else { throw Problem.field("queue", "is no name of a queue") }
            queues = queues.filter { $0 == queue }
        }
        let answer = Answer(loop: store.context.loop, most: page.limit)
        for queue in queues {
            if let start, queue.text < start.queue.text { continue }
            var sets = try await sets(queue, filter)[...]
            if let start, start.queue == queue {
                guard let first = sets.firstIndex(of: start.set) else {
                    throw Problem.field("cursor", "is not one that was given out for such a list")
                }
                sets = sets[first...]
            }
            for set in sets {
                var place = start.flatMap { $0.queue == queue && $0.set == set ? $0 : nil }
                while let next = try await part(queue, set, after: place, filter, into: answer) {
                    place = next
                    if answer.isFull { return JobLists.reply(exchange, answer, page, next) }
                }
            }
        }
        JobLists.reply(exchange, answer, page, nil)
    }

    /// Adds a part of a set to the answer; returns the place behind it, nil at the set's end.
    private func part(
        _ queue: QueueName, _ set: String, after place: JobPlace?, _ filter: Filter, into answer: Answer
    ) async throws -> JobPlace? {
        // What ended last is what is asked for first.
        var arguments = [set, set == "ended" || set == "dead" ? "down" : "up"]
        if let place { arguments += [String(place.score), JobID.digits(place.number)] } else { arguments += ["", ""] }
        arguments += [answer.most - answer.count, JobLists.mostInACall, JobLists.pageBytes / 4].map { String($0) }
        arguments += [filter.type ?? "", filter.name ?? "", filter.status.map { " \($0.rawValue) " } ?? ""]
        let reply = try await store.context.redis.run(
            JobScripts.list, keys: QueueKeys.ofScript(store.keys.base(queue)), arguments: arguments + JobRecord.listed,
            budgetUs: JobStore.budgetUs)
        guard case .array(let parts) = reply, parts.count >= 3, case .integer(let looked) = parts[0] else {
            throw RedisError.unexpectedReply("list")
        }
        for part in parts.dropFirst(3) {
            if let job = JobRecord(queue: queue, listed: part.words, in: set) { await answer.add(job) }
        }
        answer.looked += Int(looked)
        return JobPlace(queue: queue, set: set, score: parts[1].string ?? "", number: parts[2].string ?? "")
    }

    /// The part of an answer that is there so far. It is written while the list is read, in slices, so that a long one does
    /// not hold up the loop.
    private final class Answer {
        let body = ByteBuffer()
        let most: Int
        var count = 0
        var looked = 0
        private var slices: WorkSlices

        init(loop: EventLoop, most: Int) {
            self.most = most
            slices = WorkSlices(loop)
        }

        func add(_ job: JobRecord) async {
            body.append(count == 0 ? "[" : ",")
            job.json.write(to: body)
            count += 1
            await slices.pauseIfLong()
        }

        var isFull: Bool { count >= most || looked >= JobLists.mostLooked || body.count >= JobLists.pageBytes }
    }

    private static func reply(_ exchange: Exchange, _ answer: Answer, _ page: Page, _ next: JobPlace?) {
        answer.body.append(answer.count == 0 ? "[]" : "]")
        exchange.beginReply(200)
        if let next {
            page.addNextLink(next.description, to: exchange, keeping: ["queue", "status", "type", "name"])
        }
        exchange.finishReply(contentType: "application/json") { $0.append(answer.body.view) }
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

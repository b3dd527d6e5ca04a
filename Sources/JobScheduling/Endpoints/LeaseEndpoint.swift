import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/workers/lease`: hands jobs to workers in any language. One that waits is woken when there is something for it.
final class LeaseEndpoint {
    /// How many calls of a kind may wait on a loop.
    static let mostAtOnce = 1000
    /// How long one of several queues is waited for, and how long one that cannot be reached is left alone.
    private static let shareUs: Int64 = 1_000_000
    private static let restUs: Int64 = 5_000_000

    private let store: JobStore
    private let waits: LeaseWaits
    private let announcer: WorkerAnnouncer
    private var isDraining = false
    /// Numbers the calls of workers that do not do so themselves; a worker's next call may come to another replica.
    private var lastCall = Int.random(in: 0..<(1 << 52))
    /// All queues, and when they were asked for last.
    private var queues: Set<QueueName> = []
    private var askedUs = Int64.min / 2

    init(store: JobStore) {
        self.store = store
        waits = LeaseWaits(context: store.context, keys: store.keys)
        announcer = WorkerAnnouncer(store: store)
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/workers/lease", role: .work, atOnce: LeaseEndpoint.mostAtOnce) {
            [unowned self] exchange, _ in
            var fields = try Fields(try exchange.jsonBody())
            let worker = try WorkerEndpoints.worker(&fields)
            let call = try fields.int("call", in: 0...9_007_199_254_740_991)
            let demand = try Demand(&fields)
            let executions = try await lease(exchange, worker, demand, call: call)
            exchange.reply(200, json: .object([.init("executions", .array(executions))]))
        }
    }

    /// Calls that wait are answered at once.
    func drain() {
        isDraining = true
        waits.endAll()
    }

    func stop() { waits.stop() }

    func hasQueue(_ queue: QueueName) {
        queues.insert(queue)
        waits.hasQueue(queue)
    }

    /// What a worker asks for.
    struct Demand {
        /// nil for all there are.
        var queues: [QueueName]?
        var types: [String]
        var most: Int
        var waitMs: Int

        init(_ fields: inout Fields) throws(Problem) {
            queues = try fields.strings("queues", max: 64, maxCount: 100)?.map { name throws(Problem) in
                guard let queue = QueueName(name) else { throw .field(fields.name("queues"), "must name queues") }
                return queue
            }
            types = try fields.strings("types", max: 64, maxCount: 100).required(fields.name("types"))
            guard !types.isEmpty, types.allSatisfy({ QueueName.isName($0) }) else {
                throw .field(fields.name("types"), "must name types of jobs")
            }
            most = try fields.int("max", in: 1...1000) ?? 1
            waitMs = try fields.durationMs("waitMs", in: 0...30_000) ?? 0
            try fields.finish()
        }
    }

    /// Leases jobs, waiting for them as long as it is asked to. Whoever has left meanwhile is given none.
    func lease(_ exchange: Exchange, _ worker: String, _ demand: Demand, call: Int?) async throws -> [JSONValue] {
        let loop = store.context.loop
        let endUs = loop.nowUs + Int64(demand.waitMs) * 1000
        announcer.announce(worker, demand)
        var look = try await queues(of: demand)
        var isFirst = demand.waitMs > 0 && call == nil
        var woken: LeaseWaits.Place?
        var passedOver: [QueueName: Int64] = [:]
        while true {
            if exchange.isGone {
                if let woken { waits.passOn(woken) }
                return []
            }
            // Where nothing was found lately a marker tells when there is something. A call with a number may be a repeated one.
            let executions = try await take(
                worker, demand, call: call, look, isFirst ? .whereThereMayBeWork : .everywhere, &passedOver)
            isFirst = false
            if exchange.isGone {
                await giveBack(executions, worker)
                return []
            }
            if !executions.isEmpty || isDraining { return executions.map(\.json) }
            let untilUs = min(endUs, passedOver.values.min() ?? endUs)
            guard endUs > loop.nowUs else { return [] }
            switch await waits.wait(demand.queues, demand.types, exchange, untilUs: untilUs) {
            case .work(let place):
                woken = place
                look = [place.queue]
            case .over:
                woken = nil
                look = passedOver.filter { $0.value <= loop.nowUs }.map(\.key)
            case .unheard:
                woken = nil
                look = try await queues(of: demand)
            }
        }
    }

    /// The queues of a demand; all of them are asked for again after a while.
    private func queues(of demand: Demand) async throws -> [QueueName] {
        if let queues = demand.queues { return queues }
        if store.context.loop.nowUs - askedUs > LeaseEndpoint.restUs {
            askedUs = store.context.loop.nowUs
            for queue in try await store.queues() { queues.insert(queue) }
            for queue in queues { waits.hasQueue(queue) }
        }
        return queues.sorted { $0.text < $1.text }
    }

    private struct Leased {
        let id: ExecutionID
        let json: JSONValue
    }

    private enum Look { case everywhere, whereThereMayBeWork }

    private func take(
        _ worker: String, _ demand: Demand, call: Int?, _ queues: [QueueName], _ look: Look,
        _ passedOver: inout [QueueName: Int64]
    ) async throws -> [Leased] {
        var executions: [Leased] = []
        // One of several queues that cannot be reached must not use up the time of the others: it is asked again later.
        let budgetUs = queues.count > 1 ? LeaseEndpoint.shareUs : JobStore.budgetUs
        var failures = 0
        for queue in queues where executions.count < demand.most {
            let loop = store.context.loop
            if let untilUs = passedOver[queue], loop.nowUs < untilUs { continue }
            if look == .whereThereMayBeWork, !waits.mayHaveWork(queue, demand.types) { continue }
            lastCall += 1
            let most = demand.most - executions.count
            let arguments = [worker, String(call ?? lastCall), String(most), String(demand.types.count)]
            let ears = waits.ears
            waits.look(queue, demand.types)
            do {
                let words = try await store.run(
                    JobScripts.finishAndLease, queue, arguments + demand.types, budgetUs: budgetUs)
                passedOver[queue] = nil
                let leased = LeaseEndpoint.leased(words[...], queue)
                waits.looked(queue, demand.types, foundAll: leased.count < most, ears: ears)
                tellWhatIsDue(words, queue)
                executions += leased
            } catch {
                waits.couldNotLook(queue, demand.types)
                failures += 1
                passedOver[queue] = loop.nowUs + LeaseEndpoint.restUs
                if executions.isEmpty, failures == queues.count, passedOver.count >= queues.count { throw error }
            }
        }
        return executions
    }

    private func tellWhatIsDue(_ words: [String], _ queue: QueueName) {
        guard words.count >= 2, let nowMs = Int(words[0]), let dueMs = Int(words[1]), dueMs > 0 else { return }
        let notice = JobSchedulingService.DueNotice(queue: queue, inMs: dueMs - nowMs)
        store.context.process.broadcasts.send(notice, to: JobSchedulingService.dueTopic)
    }

    /// Jobs that nobody is there to take keep their places and their attempts.
    private func giveBack(_ executions: [Leased], _ worker: String) async {
        for (queue, leased) in Dictionary(grouping: executions, by: \.id.job.queue) {
            let ends = leased.flatMap { [$0.id.job.digits, String($0.id.token), "", "released", "", "", "0"] }
            _ = try? await store.run(JobScripts.finishAndLease, queue, [worker, "0", "0", "0"] + ends)
        }
    }

    /// The leased jobs of the script's reply.
    private static func leased(_ words: ArraySlice<String>, _ queue: QueueName) -> [Leased] {
        guard words.count >= 3, let results = Int(words[2]) else { return [] }
        return stride(from: 3 + results, to: words.count - 6, by: 7).compactMap { at in
            guard let number = Int(words[at]), let token = Int(words[at + 1]) else { return nil }
            let job = JobID(queue: queue, number: number)
            let id = ExecutionID(job: job, token: token)
            let json = JSONValue.object([
                .init("executionId", .string(id.description)), .init("jobId", .string(job.description)),
                .init("queue", .string(queue.text)), .init("token", .int(token)), .init("type", .string(words[at + 3])),
                .init("config", JobRecord.parsed(words[at + 4]) ?? .object([])),
                .init("attempt", .int(Int(words[at + 2]) ?? 1)), .init("leaseMs", .int(15_000)),
                .init("timeoutMs", Int(words[at + 5]).map { .int($0) } ?? .null),
                .init("traceparent", words[at + 6].isEmpty ? .null : .string(words[at + 6])),
            ])
            return Leased(id: id, json: json)
        }
    }
}

/// Lists workers that lease over HTTP from their first lease on, so that one that waits is seen as well.
final class WorkerAnnouncer {
    private let store: JobStore
    /// When a worker was listed last (µs).
    private var announcedUs: [String: Int64] = [:]
    /// A listed worker is forgotten after a minute.
    private static let intervalUs: Int64 = 45_000_000
    private static let mostWorkers = 10_000

    init(store: JobStore) { self.store = store }

    func announce(_ worker: String, _ demand: LeaseEndpoint.Demand) {
        let nowUs = store.context.loop.nowUs
        if let lastUs = announcedUs[worker], nowUs - lastUs < WorkerAnnouncer.intervalUs { return }
        if announcedUs.count >= WorkerAnnouncer.mostWorkers {
            announcedUs = announcedUs.filter { nowUs - $0.value < WorkerAnnouncer.intervalUs }
            // Names that are made up must not fill the list.
            if announcedUs.count >= WorkerAnnouncer.mostWorkers { return }
        }
        announcedUs[worker] = nowUs
        let base = store.keys.workers
        let facts = [
            worker, "types", demand.types.joined(separator: ","), "queues",
            demand.queues?.map(\.text).joined(separator: ",") ?? "",
        ]
        store.context.loop.spawn { [store] in
            _ = try? await store.context.redis.run(
                JobScripts.workerPresence, keys: [base + "workers", base + "worker:" + worker], arguments: facts,
                budgetUs: 2_000_000)
        }
    }
}

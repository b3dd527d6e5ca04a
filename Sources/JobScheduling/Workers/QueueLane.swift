import Bytes
import EventLoops
import JSON
import Redis
import Services
import Telemetry

/// One loop's share in one queue: its executions, what it has still to report, its one call in flight.
final class QueueLane {
    let queue: QueueName
    let worker: String
    private unowned let owner: LoopWorker
    private let store: JobStore
    private let base: String
    private let scope: ExchangeScope
    private(set) var running: [Int: Execution] = [:]
    private var ended: [EndedExecution] = []
    private var call: ExchangeCall?
    private var lastCall = 0
    private var failures = 0
    private var retryTimer: LoopTimer?
    /// Whether the queue may have jobs that nobody has told us of.
    var mayHaveWork = true
    /// Slots that the call in flight may fill.
    private(set) var reserved = 0

    /// How many jobs one call takes at most.
    private static let mostInACall = 128
    /// How long slots are kept for a call, where there are several nodes.
    static let patienceUs: Int64 = 250_000
    /// Without a word from Redis a run is ended after this: a lease, and the term by which every lease is extended when
    /// Redis comes back from an outage.
    private static let silenceUs: Int64 = 29_000_000

    init(queue: QueueName, owner: LoopWorker, store: JobStore) {
        self.queue = queue
        self.owner = owner
        self.store = store
        worker = owner.name
        base = store.keys.base(queue)
        scope = ExchangeScope(base: base, redis: store.context.redis)
    }

    var isIdle: Bool { running.isEmpty && ended.isEmpty && call == nil }
    var canCall: Bool { call == nil && retryTimer == nil }

    // MARK: Calls

    /// Sends what has ended, and asks for up to `free` jobs if there may be any. At the end of a tick.
    func exchange(free: Int) {
        guard canCall else { return }
        let most = mayHaveWork ? min(free, QueueLane.mostInACall) : 0
        guard most > 0 || !ended.isEmpty else { return }
        reserved = most
        lastCall += 1
        let gathered = ended
        ended = []
        send(most: most, gathered)
    }

    private func send(most: Int, _ gathered: [EndedExecution]) {
        let call = ExchangeCall(
            scope, worker: worker, number: lastCall, most: most, types: owner.types,
            ended: gathered, jitter: Int.random(in: 0...1000), sentAtUs: owner.loop.nowUs
        ) { [weak self] call, result in self?.completed(call, result) }
        self.call = call
        store.context.redis.submit(call, budgetUs: 2_000_000)
    }

    private func completed(_ call: ExchangeCall, _ result: Result<ReplyView, RedisError>) {
        switch result {
        case .success(let reply):
            failures = 0
            self.call = nil
            reserved = 0
            accept(reply, of: call)
            owner.needsExchange()
        case .failure(let error):
            // The same call again, under its number: what was done is done once. It asks for one job at most, for which no
            // slot is kept: the other queues may have them all until this one answers.
            failures += 1
            reserved = 0
            owner.needsExchange()
            if failures == 1 || failures % 50 == 0 {
                owner.log.warning(
                    "a worker's call failed", ["queue": .string(queue.text), "error": .string("\(error)")])
            }
            let waitUs = Int64(min(1_000_000, 50_000 << min(failures, 5)))
            retryTimer = owner.loop.after(us: waitUs) { [weak self] in
                guard let self else { return }
                retryTimer = nil
                send(most: min(1, call.most), call.ended)
            }
        }
    }

    private func accept(_ reply: ReplyView, of call: ExchangeCall) {
        guard reply.count >= 3 else { return }
        let nowMs = reply[0].number
        let dueMs = reply[1].number
        let results = reply[2].number
        for i in 0..<results where !(reply[3 + i].bytes == "ok") {
            owner.counters.stale.increment()
            owner.log.warning(
                "an execution had lost its lease",
                ["job": .string(JobID(queue: queue, number: call.ended[i].number).description)])
        }
        let first = 3 + results
        let count = (reply.count - first) / 7
        for i in 0..<count {
            if owner.hasRoom { start(reply, first + 7 * i, call.sentAtUs) } else { handBack(reply, first + 7 * i) }
        }
        owner.counters.leased.increment(by: count)
        owner.counters.finished.increment(by: results)
        // Fewer than asked for: the queue is empty, and a marker tells when it no longer is.
        if call.most > 0 { mayHaveWork = count >= call.most }
        if dueMs > 0 { owner.isDue(queue, inMs: dueMs - nowMs) }
    }

    /// Keeps no slots any longer for a call that has been out for a while: other queues, which other nodes serve, may fill
    /// them. What then comes and finds none is handed back.
    func letGo(nowUs: Int64) {
        guard reserved > 0, let call, nowUs - call.sentAtUs > QueueLane.patienceUs else { return }
        reserved = 0
        owner.needsExchange()
    }

    // MARK: Executions

    private func handBack(_ reply: ReplyView, _ at: Int) {
        ended.append(
            EndedExecution(
                number: reply[at].number, token: reply[at + 1].number, type: reply[at + 3].bytes.string,
                outcome: .released, text: ""))
    }

    private func start(_ reply: ReplyView, _ at: Int, _ sentAtUs: Int64) {
        let number = reply[at].number
        let token = reply[at + 1].number
        let id = JobID(queue: queue, number: number)
        let trace = reply[at + 6].bytes
        let timeoutMs = reply[at + 5].number
        let loop = owner.loop
        let context = JobContext(
            loop: loop, jobID: id, token: token, attempt: reply[at + 2].number,
            deadlineUs: timeoutMs > 0 ? loop.nowUs + Int64(timeoutMs) * 1000 : nil,
            traceparent: trace.isEmpty ? nil : trace.string, log: owner.log)
        let type = reply[at + 3].bytes.string
        let execution = Execution(number: number, token: token, type: type, context: context, confirmedUs: sentAtUs)
        running[number] = execution
        owner.busy += 1
        guard let runner = owner.runner(type), let config = try? JSONValue(parsing: reply[at + 4].bytes)
        else {
            let text = "its type or config cannot be read here"
            return hasEnded(
                execution, EndedExecution(number: number, token: token, type: type, outcome: .permanent, text: text))
        }
        execution.start(runner, config: config, timeoutUs: timeoutMs > 0 ? Int64(timeoutMs) * 1000 : nil) {
            [weak self] execution, ended in self?.hasEnded(execution, ended)
        }
    }

    private func hasEnded(_ execution: Execution, _ report: EndedExecution?) {
        guard running[execution.number] === execution else { return }
        running[execution.number] = nil
        owner.busy -= 1
        if let report { ended.append(report) }
        owner.needsExchange()
    }

    /// Tells a run to end; nothing when it is not here.
    func end(_ number: Int, _ reason: Execution.Ending) {
        running[number]?.end(reason) { [weak self] execution, ended in self?.hasEnded(execution, ended) }
    }

    func endAll(_ reason: Execution.Ending) {
        for number in running.keys { end(number, reason) }
    }

    // MARK: Heartbeats

    /// Renews the leases of what runs here, and of what has ended without Redis knowing yet.
    func heartbeat() async {
        var arguments = store.head(base) + [worker, "all", "0"]
        var asked: [Int] = []
        func add(_ number: Int, _ token: Int, _ progress: String) {
            asked.append(number)
            arguments += [JobID.digits(number), String(token), progress]
        }
        for execution in running.values {
            let progress = execution.context.latestProgress?.text() ?? ""
            add(execution.number, execution.token, progress.utf8.count <= 1000 ? progress : "")
        }
        for item in ended + (call?.ended ?? []) { add(item.number, item.token, "") }
        guard !asked.isEmpty else { return }
        let sentAtUs = owner.loop.nowUs
        let reply = try? await store.context.redis.run(
            JobScripts.heartbeat, keys: QueueKeys.ofScript(base), arguments: arguments, budgetUs: 4_000_000)
        if let reply { hear(reply.words, asked, sentAtUs) }
        for execution in running.values where owner.loop.nowUs - execution.confirmedUs > QueueLane.silenceUs {
            owner.log.warning(
                "no word from redis for too long, ending a run",
                ["job": .string(JobID(queue: queue, number: execution.number).description)])
            end(execution.number, .leaseLost)
        }
    }

    private func hear(_ words: [String], _ asked: [Int], _ sentAtUs: Int64) {
        guard words.count == asked.count else { return }
        for (number, word) in zip(asked, words) {
            guard let execution = running[number] else { continue }
            switch word {
            case "ok": execution.confirmedUs = sentAtUs
            case "cancel":
                execution.confirmedUs = sentAtUs
                end(number, .cancelled)
            case "preempt":
                execution.confirmedUs = sentAtUs
                end(number, .preempted)
            default:
                owner.counters.stale.increment()
                end(number, .leaseLost)
            }
        }
    }
}

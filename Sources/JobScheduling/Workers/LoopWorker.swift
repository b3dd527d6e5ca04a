import Bytes
import EventLoops
import Services
import Telemetry

/// One loop's worker: its slots, its share in each queue.
final class LoopWorker: EndOfTick {
    let loop: EventLoop
    let name: String
    let types: [String]
    let log: Logger
    let counters: WorkerCounters
    private let slots: Int
    private let group: WorkerGroup
    private let store: JobStore
    private let kinds: KindRegistry
    private var lanes: [QueueLane] = []
    private var heartbeatTimer: LoopTimer?
    private var patienceTimer: LoopTimer?
    private let isCluster: Bool
    private var isAsked = false
    private var isDraining = false
    private var turn = 0
    /// Executions that hold a slot.
    var busy = 0

    static let heartbeatUs: Int64 = 5_000_000

    init(context: ServiceContext, store: JobStore, kinds: KindRegistry, options: WorkerOptions, group: WorkerGroup) {
        loop = context.loop
        isCluster = context.redis.isCluster
        log = context.log
        self.store = store
        self.kinds = kinds
        self.group = group
        name = "\(group.name).\(loop.index)"
        types = kinds.runnable(options.types)
        slots = options.slots(ofLoop: loop.index, of: group.loops)
        counters = WorkerCounters(context.metrics)
    }

    func start() {
        let timer = LoopTimer(loop: loop) { [unowned self] in beat() }
        timer.start(everyUs: LoopWorker.heartbeatUs)
        heartbeatTimer = timer
        let bound = LoopBound(self, loop: loop)
        let queues = group.join(
            loop.index, slots: slots,
            wake: { queue in bound.loop.send { bound.value.wake(queue) } },
            end: { id, reason in bound.loop.send { bound.value.end(id, reason) } })
        for queue in queues { serve(queue) }
    }

    /// A queue that is to be served; known ones are left as they are.
    func serve(_ queue: QueueName) {
        guard !lanes.contains(where: { $0.queue == queue }), !isDraining else { return }
        lanes.append(QueueLane(queue: queue, owner: self, store: store))
        needsExchange()
        guard isCluster, patienceTimer == nil, lanes.count > 1 else { return }
        let timer = LoopTimer(loop: loop) { [unowned self] in
            for lane in lanes { lane.letGo(nowUs: loop.nowUs) }
        }
        timer.start(everyUs: QueueLane.patienceUs)
        patienceTimer = timer
    }

    /// There may be work.
    func wake(_ queue: QueueName) {
        serve(queue)
        lanes.first { $0.queue == queue }?.mayHaveWork = true
        needsExchange()
    }

    private func end(_ id: JobID, _ reason: Execution.Ending) {
        lanes.first { $0.queue == id.queue }?.end(id.number, reason)
    }

    /// Whether a slot is free, those included that calls in flight may fill.
    var hasRoom: Bool { busy < slots }

    func runner(_ type: String) -> (any KindRunner)? { kinds[type] }

    /// Something is due in a queue.
    func isDue(_ queue: QueueName, inMs ms: Int) { group.isDue(queue, inMs: ms) }

    // MARK: Exchanging

    /// Has what has ended sent, and free slots filled, at the end of the tick.
    func needsExchange() {
        guard !isAsked else { return }
        isAsked = true
        loop.atEndOfTick(.gather, self)
    }

    func endOfTick() {
        isAsked = false
        var free = max(0, slots - busy - lanes.reduce(0) { $0 + $1.reserved })
        if isDraining { free = 0 }
        // Who is served first changes with every tick, so that no queue starves another one of slots.
        turn += 1
        for i in lanes.indices {
            let lane = lanes[(i + turn) % lanes.count]
            lane.exchange(free: free)
            free = max(0, slots - busy - lanes.reduce(0) { $0 + $1.reserved })
            if isDraining { free = 0 }
        }
        group.setFree(free, ofLoop: loop.index)
    }

    private func beat() {
        for lane in lanes where !lane.isIdle {
            loop.spawn { await lane.heartbeat() }
        }
    }

    // MARK: Ending

    /// Takes no more jobs, waits for those in flight, and hands back what is not done within the grace.
    func stop(graceUs: Int64) async {
        isDraining = true
        group.leave(loop.index)
        for lane in lanes { lane.mayHaveWork = false }
        let endUs = loop.nowUs + graceUs
        while busy > 0, loop.nowUs < endUs { await loop.sleep(us: 5000) }
        for lane in lanes { lane.endAll(.draining) }
        let lastUs = loop.nowUs + 5_000_000
        while lanes.contains(where: { !$0.isIdle }), loop.nowUs < lastUs {
            needsExchange()
            await loop.sleep(us: 2000)
        }
        heartbeatTimer?.cancel()
        patienceTimer?.cancel()
    }
}

/// What a loop's worker counts.
struct WorkerCounters {
    let leased: Counter
    let finished: Counter
    let stale: Counter

    init(_ metrics: MetricRegistry) {
        leased = metrics.counter("quartermaster_job_leases_total", "Jobs leased by this process")
        finished = metrics.counter("quartermaster_job_finishes_total", "Executions reported by this process")
        stale = metrics.counter("quartermaster_job_lost_leases_total", "Executions whose lease was gone")
    }
}

import EventLoops
import Redis
import Services

/// Waits, on connections of its own, for the markers that say there is work; one per process, while a slot is free.
///
/// Where there is one Redis a single wait is for all queues. In a cluster a wait is for one slot, so each queue has its own;
/// those beyond `mostWaits` are looked at in turn.
final class WakeListener {
    private let context: ServiceContext
    private let group: WorkerGroup
    private let types: [String]
    private let queues: () -> [QueueName]
    private let keys: QueueKeys
    /// By queue; the one for all of them is under nil.
    private var waits: [QueueName?: WakeWait] = [:]
    private var timer: LoopTimer?
    private var beingLookedAt: Set<QueueName> = []

    /// A marker in a key of this process.
    private var ownMarker: String { keys.workers + "wake:" + group.name }
    private static let mostWaits = 64
    private static let refreshUs: Int64 = 250_000

    init(
        context: ServiceContext, group: WorkerGroup, types: [String], keys: QueueKeys,
        queues: @escaping () -> [QueueName]
    ) {
        self.context = context
        self.group = group
        self.types = types
        self.keys = keys
        self.queues = queues
    }

    func start() {
        guard context.redis.isCluster else { return wait(for: nil) }
        refresh()
        let timer = LoopTimer(loop: context.loop) { [unowned self] in refresh() }
        timer.start(everyUs: WakeListener.refreshUs)
        self.timer = timer
    }

    /// There is a queue that a wait which goes on does not know of: it ends, and the next one knows it.
    func hasNewQueue() {
        guard !context.redis.isCluster, waits[nil] != nil else { return }
        context.loop.spawn { [self] in
            // Of this process alone: nobody else hears it. Should it be lost, the wait ends by itself soon.
            _ = try? await context.redis.send(["LPUSH", ownMarker, "1"], key: ownMarker, budgetUs: 1_000_000)
            _ = try? await context.redis.send(["PEXPIRE", ownMarker, "60000"], key: ownMarker, budgetUs: 1_000_000)
        }
    }

    func stop() {
        timer?.cancel()
        for wait in waits.values { wait.stop() }
        waits = [:]
    }

    /// A wait for each queue that has none, as far as there may be more; the others are looked at.
    private func refresh() {
        for queue in queues() where waits[queue] == nil {
            if waits.count < WakeListener.mostWaits { wait(for: queue) } else { look(at: queue) }
        }
    }

    private func wait(for queue: QueueName?) {
        let connection = ExclusiveConnection(of: context.redis, serving: queue.map(keys.base), scripts: [])
        let wait = WakeWait(
            connection, loop: context.loop, group: group, interrupt: queue == nil ? ownMarker : nil
        ) { [unowned self] in places(of: queue.map { [$0] } ?? queues()) }
        waits[queue] = wait
        wait.start()
    }

    private func places(of queues: [QueueName]) -> [WakeWait.Place] {
        queues.flatMap { queue in types.map { (keys.base(queue) + "wake:" + $0, queue) } }
    }

    private func look(at queue: QueueName) {
        guard group.hasFree, beingLookedAt.insert(queue).inserted else { return }
        let markers = places(of: [queue]).map(\.key)
        context.loop.spawn { [self] in
            let reply = try? await context.redis.send(
                ["LMPOP", String(markers.count)] + markers + ["LEFT"], key: keys.base(queue), budgetUs: 1_000_000)
            beingLookedAt.remove(queue)
            if case .array? = reply { group.wake(queue) }
        }
    }
}

/// One wait after the other on one connection. Each lasts 2 s at most, so that whatever was missed heals; the queue's upkeep
/// sets markers anew where jobs wait.
private final class WakeWait {
    typealias Place = (key: String, queue: QueueName)

    private let connection: ExclusiveConnection
    private let loop: EventLoop
    private let group: WorkerGroup
    /// A marker that ends a wait so that the next one begins with new places; nil where places don't change.
    private let interrupt: String?
    private let places: () -> [Place]
    private var isStopped = false

    init(
        _ connection: ExclusiveConnection, loop: EventLoop, group: WorkerGroup, interrupt: String?,
        places: @escaping () -> [Place]
    ) {
        self.interrupt = interrupt
        self.connection = connection
        self.loop = loop
        self.group = group
        self.places = places
    }

    func start() {
        connection.start()
        loop.spawn { [self] in
            while !isStopped {
                await untilFree()
                if isStopped { return }
                await wait()
            }
        }
    }

    func stop() {
        isStopped = true
        connection.close()
    }

    private func untilFree() async {
        let loop = loop
        await suspend { (resume: @escaping (()) -> Void) in
            let bound = LoopBound(resume, loop: loop)
            group.whenFree { loop.send { bound.value(()) } }
        }
    }

    private func wait() async {
        let places = places()
        // Short, since the first job of all makes the first queue.
        guard !places.isEmpty, connection.isReady else { return await loop.sleep(us: 20_000) }
        let words = ["BLPOP"] + (interrupt.map { [$0] } ?? []) + places.map(\.key) + ["2"]
        guard let reply = try? await connection.send(words, budgetUs: 5_000_000) else {
            return await loop.sleep(us: 100_000)
        }
        guard let key = reply.strings?.first, let place = places.first(where: { $0.key == key }) else { return }
        group.wake(place.queue)
    }
}

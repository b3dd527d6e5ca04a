import EventLoops
import Redis
import Services

/// Waits, on a connection of its own, for the markers that say there is work; one per process, while a slot is free.
///
/// A wait lasts 2 s at most, so that whatever was missed heals; the queue's upkeep sets markers anew where jobs wait.
final class WakeListener {
    private let context: ServiceContext
    private let group: WorkerGroup
    private let types: [String]
    private let queues: () -> [QueueName]
    private let keys: QueueKeys
    private let client: RedisClient
    private var isStopped = false

    init(
        context: ServiceContext, group: WorkerGroup, types: [String], keys: QueueKeys,
        queues: @escaping () -> [QueueName]
    ) {
        self.context = context
        self.group = group
        self.types = types
        self.keys = keys
        self.queues = queues
        client = RedisClient(loop: context.loop, configuration: context.process.redis, scripts: [])
    }

    func start() {
        client.start()
        context.loop.spawn { [self] in
            while !isStopped {
                await untilFree()
                if isStopped { return }
                await wait()
            }
        }
    }

    func stop() async {
        isStopped = true
        await client.close()
    }

    private func untilFree() async {
        let loop = context.loop
        await suspend { (resume: @escaping (()) -> Void) in
            let bound = LoopBound(resume, loop: loop)
            group.whenFree { loop.send { bound.value(()) } }
        }
    }

    private func wait() async {
        var places: [(key: String, queue: QueueName)] = []
        for queue in queues() {
            for type in types { places.append((keys.base(queue) + "wake:" + type, queue)) }
        }
        // Short, since the first job of all makes the first queue.
        guard !places.isEmpty, client.isReady else { return await context.loop.sleep(us: 20_000) }
        let reply = try? await client.send(
            ["BLPOP"] + places.map(\.key) + ["2"], key: places[0].key, budgetUs: 5_000_000)
        guard let reply else { return await context.loop.sleep(us: 100_000) }
        guard let key = reply.strings?.first, let place = places.first(where: { $0.key == key }) else { return }
        group.wake(place.queue)
    }
}

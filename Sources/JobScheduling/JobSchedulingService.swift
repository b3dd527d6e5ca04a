import Digests
import EventLoops
import Glibc
import HTTP
import Redis
import Services
import Synchronization

/// The batch job scheduler: keeps jobs and schedules, hands them to workers, and, where the process is one, runs them.
public final class JobSchedulingService: Service {
    /// What the loops of a process share.
    private final class Shared: Sendable {
        let group = Mutex<WorkerGroup?>(nil)
    }

    private let context: ServiceContext
    private let shared: Shared
    private let store: JobStore
    private let kinds: KindRegistry
    private let options: WorkerOptions?
    private var worker: LoopWorker?
    private var upkeep: QueueUpkeep?
    private var wakes: WakeListener?
    private var news: NewsListener?
    private var presence: WorkerPresence?
    private let endpoints: JobRoutes

    /// The service as the executable lists it.
    /// - Parameter kinds: the kinds of job that it knows.
    public static func definition(kinds: [JobKindDefinition]) -> ServiceDefinition {
        let shared = Shared()
        return ServiceDefinition(name: "jobs", port: 3007, scripts: JobScripts.all) { context in
            try JobSchedulingService(context: context, kinds: kinds, shared: shared)
        }
    }

    public convenience init(context: ServiceContext) throws {
        try self.init(context: context, kinds: JobKindDefinition.standard, shared: Shared())
    }

    private init(context: ServiceContext, kinds: [JobKindDefinition], shared: Shared) throws {
        self.context = context
        self.shared = shared
        self.kinds = try KindRegistry(kinds, context: context)
        store = JobStore(context: context)
        options = try WorkerOptions(context.process.settings)
        endpoints = JobRoutes(store: store, kinds: self.kinds)
        if let (type, setting) = self.kinds.lacking.first(where: { options?.types?.contains($0.type) == true }) {
            throw Problem.field("types", "names \(type), which needs the setting \(setting)")
        }
    }

    public func addRoutes(to routes: Routes) { endpoints.add(to: routes) }

    public func start() async throws {
        if context.isFirstLoop { await startUpkeep() }
        context.process.broadcasts.subscribe(JobSchedulingService.dueTopic) { [weak self] due in
            self?.upkeep?.isDue(due.queue, inMs: due.inMs)
        }
        context.process.broadcasts.subscribe(JobSchedulingService.queueTopic) { [weak self] queue in
            self?.endpoints.hasQueue(queue)
        }
        guard let options else { return }
        let group = group(options)
        let worker = LoopWorker(context: context, store: store, kinds: kinds, options: options, group: group)
        self.worker = worker
        worker.start()
        for queue in options.queues ?? [] { worker.serve(queue) }
        if context.isFirstLoop { startWorking(options, group, worker) }
    }

    /// A queue that this process did not know before.
    static let queueTopic = Broadcasts.Topic<QueueName>("jobs.queue")
    static let dueTopic = Broadcasts.Topic<DueNotice>("jobs.due")

    /// Something of a queue is due; the loop that does the upkeep hears it.
    struct DueNotice: Sendable {
        var queue: QueueName
        var inMs: Int
    }

    private func startUpkeep() async {
        let upkeep = QueueUpkeep(store: store)
        self.upkeep = upkeep
        let news = NewsListener(context: context) { [weak self] word, queue, number in
            guard let self else { return }
            switch (word, number) {
            case ("cancel", let number?):
                shared.group.withLock { $0 }?.end(JobID(queue: queue, number: number), .cancelled)
            case ("preempt", let number?):
                shared.group.withLock { $0 }?.end(JobID(queue: queue, number: number), .preempted)
            default: upkeep.add(queue)
            }
        }
        self.news = news
        news.start()
        await upkeep.start()
    }

    private func group(_ options: WorkerOptions) -> WorkerGroup {
        shared.group.withLock { group in
            if let group { return group }
            var buffer = [CChar](repeating: 0, count: 256)
            gethostname(&buffer, 255)
            let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let plain = String(host.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }.prefix(40))
            let made = WorkerGroup(
                name: "\(plain)-\(getpid())-\(RandomID.hex(bytes: 3))", loops: context.process.loopCount)
            group = made
            return made
        }
    }

    private func startWorking(_ options: WorkerOptions, _ group: WorkerGroup, _ worker: LoopWorker) {
        guard let upkeep else { return }
        for (type, setting) in kinds.lacking where options.types == nil {
            context.log.info(
                "jobs of a type are left to other workers", ["type": .string(type), "missing": .string(setting)])
        }
        let broadcasts = context.process.broadcasts
        group.onDue { queue, ms in broadcasts.send(DueNotice(queue: queue, inMs: ms), to: JobSchedulingService.dueTopic)
        }
        let wakes = WakeListener(context: context, group: group, types: worker.types, keys: store.keys) {
            options.queues ?? upkeep.queues
        }
        self.wakes = wakes
        if options.queues == nil {
            upkeep.onQueue = { [unowned wakes] queue in
                group.serve(queue)
                wakes.hasNewQueue()
            }
            for queue in upkeep.queues { group.serve(queue) }
        }
        wakes.start()
        let presence = WorkerPresence(store: store, group: group, options: options, types: worker.types)
        self.presence = presence
        presence.start()
    }

    public func drain() { endpoints.drain() }

    public func stop() async {
        wakes?.stop()
        endpoints.stop()
        if let worker, let options { await worker.stop(graceUs: Int64(options.graceMs) * 1000) }
        await presence?.stop()
        news?.stop()
        upkeep?.stop()
    }
}

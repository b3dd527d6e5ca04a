import EventLoops
import Glibc
import JSON
import Redis
import Services

/// Tells others about this process's work: every five seconds, what it does and what it costs.
final class WorkerPresence {
    private let store: JobStore
    private let group: WorkerGroup
    private let options: WorkerOptions
    private let types: [String]
    private var timer: LoopTimer?
    private var lastCPUUs = 0
    private var lastUs: Int64 = 0
    private let startedUs = WallClock.nowUs()

    init(store: JobStore, group: WorkerGroup, options: WorkerOptions, types: [String]) {
        self.store = store
        self.group = group
        self.options = options
        self.types = types
    }

    func start() {
        let loop = store.context.loop
        let timer = LoopTimer(loop: loop) { [unowned self] in loop.spawn { await self.announce() } }
        timer.start(everyUs: 5_000_000)
        self.timer = timer
        loop.spawn { await self.announce() }
    }

    func stop() async {
        timer?.cancel()
        let key = store.keys.workers + "workers"
        _ = try? await store.context.redis.send(["ZREM", key, group.name], key: key, budgetUs: 200_000)
    }

    private func announce() async {
        let usage = WorkerPresence.usage()
        let nowUs = MonotonicClock.nowUs()
        let percent = lastUs == 0 ? 0 : 100 * Double(usage.cpuUs - lastCPUUs) / Double(nowUs - lastUs)
        (lastCPUUs, lastUs) = (usage.cpuUs, nowUs)
        let facts = [
            group.name,
            "startedMs", String(startedUs / 1000), "concurrency", String(options.concurrency), "running",
            String(group.running), "types", types.joined(separator: ","), "queues",
            options.queues?.map(\.text).joined(separator: ",") ?? "", "cpuPercent", String(Int(percent.rounded())),
            "memoryBytes", String(usage.memoryBytes), "pid", String(getpid()),
        ]
        let base = store.keys.workers
        _ = try? await store.context.redis.run(
            JobScripts.workerPresence, keys: [base + "workers", base + "worker:" + group.name], arguments: facts,
            budgetUs: 2_000_000)
    }

    /// CPU time of the process so far, and its resident memory.
    private static func usage() -> (cpuUs: Int, memoryBytes: Int) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let cpuUs =
            (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000 + Int(usage.ru_utime.tv_usec)
            + Int(usage.ru_stime.tv_usec)
        var pages = 0
        if let file = fopen("/proc/self/statm", "r") {
            var line = [CChar](repeating: 0, count: 128)
            if fgets(&line, 128, file) != nil {
                let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                pages = Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0
            }
            fclose(file)
        }
        return (cpuUs, pages * Int(sysconf(Int32(_SC_PAGESIZE))))
    }
}

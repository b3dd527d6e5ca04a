import EventLoops
import Redis
import Services
import Telemetry

/// Sees to what is due in every queue: delayed jobs, leases that are over, slots of schedules. Every process does it, on
/// one loop; each step is one script that only the first can win, so there is no leader.
final class QueueUpkeep {
    private let store: JobStore
    private let context: ServiceContext
    /// Queues and when each is looked at next (`MonotonicClock`, µs).
    private var nextLookUs: [QueueName: Int64] = [:]
    private var timer: LoopTimer!
    private var isLooking: Set<QueueName> = []
    private var dropping: Set<QueueName> = []
    private var isStopped = false
    private var listTimer: LoopTimer?
    /// Called with every queue when it becomes known.
    var onQueue: ((QueueName) -> Void)?

    /// How often a queue is looked at when nothing is known to be due.
    private static let intervalUs: Int64 = 2_500_000
    /// With many queues an idle process makes one look in this time.
    private static let shareUs: Int64 = 25_000
    private static let listIntervalUs: Int64 = 15_000_000

    init(store: JobStore) {
        self.store = store
        context = store.context
        timer = LoopTimer(loop: context.loop) { [unowned self] in look() }
    }

    var queues: [QueueName] { nextLookUs.keys.sorted { $0.text < $1.text } }

    func start() async {
        await refresh()
        let listTimer = LoopTimer(loop: context.loop) { [unowned self] in context.loop.spawn { await self.refresh() } }
        listTimer.start(everyUs: QueueUpkeep.listIntervalUs)
        self.listTimer = listTimer
    }

    func stop() {
        isStopped = true
        timer.cancel()
        listTimer?.cancel()
    }

    /// A queue there is, perhaps a new one.
    func add(_ queue: QueueName) {
        guard nextLookUs[queue] == nil, !isStopped else { return }
        nextLookUs[queue] = context.loop.nowUs
        onQueue?(queue)
        schedule()
    }

    /// Something of the queue is due in so many milliseconds.
    func isDue(_ queue: QueueName, inMs ms: Int) {
        add(queue)
        let atUs = context.loop.nowUs + Int64(max(0, ms)) * 1000
        guard let known = nextLookUs[queue], atUs < known else { return }
        nextLookUs[queue] = atUs
        schedule()
    }

    private func refresh() async {
        guard let queues = try? await store.queues() else { return }
        for queue in queues {
            add(queue)
            guard dropping.insert(queue).inserted else { continue }
            // Each by itself: one whose node is away must not keep the others waiting.
            context.loop.spawn { [self] in
                await dropUnsealed(queue)
                dropping.remove(queue)
            }
        }
    }

    /// Drops batches that whoever made them did not complete in time: they were acknowledged to nobody. One whose jobs had
    /// begun to be released is released to its end.
    private func dropUnsealed(_ queue: QueueName) async {
        do {
            for name in try await store.unsealedBatches(queue) {
                var answer = "more"
                while answer == "more", !isStopped {
                    answer = try await store.run(JobScripts.batch, queue, ["drop", name]).first ?? "gone"
                }
                context.log.warning(
                    answer == "sealed"
                        ? "released the rest of a batch whose maker is gone"
                        : "dropped a batch that was never completed",
                    ["queue": .string(queue.text), "batch": .string(name)])
            }
        } catch {
            // The next round finds the same.
            return
        }
    }

    private func schedule() {
        guard !isStopped, let first = nextLookUs.values.min() else { return }
        timer.start(afterUs: first - context.loop.nowUs)
    }

    private func look() {
        let nowUs = context.loop.nowUs
        // With many queues each is looked at less often, so that an idle process stays quiet.
        let intervalUs = max(QueueUpkeep.intervalUs, Int64(nextLookUs.count) * QueueUpkeep.shareUs)
        for (queue, atUs) in nextLookUs where atUs <= nowUs && !isLooking.contains(queue) {
            nextLookUs[queue] = nowUs + intervalUs
            isLooking.insert(queue)
            context.loop.spawn { [self] in
                await tick(queue)
                isLooking.remove(queue)
            }
        }
        schedule()
    }

    private func tick(_ queue: QueueName) async {
        do {
            let words = try await store.run(JobScripts.tick, queue, [])
            guard words.count >= 2, let nowMs = Int(words[0]), let dueMs = Int(words[1]) else { return }
            for at in stride(from: 2, to: words.count - 7, by: 8) {
                try await fire(Array(words[at..<(at + 8)]), queue, nowMs: nowMs)
            }
            if dueMs > 0 { isDue(queue, inMs: dueMs - nowMs) }
        } catch let error as RedisError where QueueUpkeep.isPassing(error) {
            // The store's own log says that it is away, or its figures that it is full. The slots of schedules wait as what is
            // delayed does, and the next look is soon enough for both.
            isDue(queue, inMs: 1000)
        } catch {
            context.log.error("upkeep failed", ["queue": .string(queue.text), "error": .string("\(error)")])
        }
    }

    private static func isPassing(_ error: RedisError) -> Bool {
        if case .server(let code, _) = error, code == "OOM" { return true }
        return error.isElsewhere || error == .unavailable || error == .timeout || error == .lost
    }

    /// - Parameter words: job, slot, schedule, time zone, missed, missedLimit, overlap, queueLimit.
    private func fire(_ words: [String], _ queue: QueueName, nowMs: Int) async throws {
        guard let slotMs = Int(words[1]), let schedule = try? Schedule(words[2]) else { return }
        let due = ScheduleSlots.Due(
            schedule: schedule, timeZone: words[3].isEmpty ? "UTC" : words[3], slotMs: slotMs,
            missed: MissedSlots(rawValue: words[4]) ?? .latest, missedLimit: Int(words[5]) ?? 1000)
        let plan = ScheduleSlots.plan(due, nowMs: nowMs)
        let arguments =
            [words[0], words[1], String(plan.nextMs ?? 0), String(plan.leftOut), String(store.limits.jobsPerQueue)]
            + plan.run.map(String.init)
        _ = try await store.run(JobScripts.fire, queue, arguments)
        if let nextMs = plan.nextMs { isDue(queue, inMs: nextMs - nowMs) }
    }
}

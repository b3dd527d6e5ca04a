import EventLoops
import Redis
import Services
import Telemetry
import TimeZones

/// Sees to what is due in every queue: delayed jobs, leases that are over, slots of schedules. Every process does it, on
/// one loop; each step is one script that only the first can win, so there is no leader.
///
/// A round asks which queues have something to be done, with one call for many of them where one Redis has them all. Only
/// those are seen to, so an idle process costs Redis next to nothing. What is known to be due is seen to at its time.
final class QueueUpkeep {
    private let store: JobStore
    private let context: ServiceContext
    private var known: Set<QueueName> = []
    /// When something is due in a queue that is known to be (`MonotonicClock`, µs).
    private var dueUs: [QueueName: Int64] = [:]
    private var dueTimer: LoopTimer!
    private var roundTimer: LoopTimer!
    private var listTimer: LoopTimer?
    private var beingTicked: Set<QueueName> = []
    private var beingAsked: Set<QueueName> = []
    private var dropping: Set<QueueName> = []
    private var isStopped = false
    /// Schedules that were told of as unreadable here.
    private var unreadable: Set<JobID> = []
    /// Called with every queue when it becomes known.
    var onQueue: ((QueueName) -> Void)?

    /// How often queues are asked whether there is something to do.
    private static let intervalUs: Int64 = 2_500_000
    /// How many are asked in a call, where one Redis has them all.
    private static let mostInACall = 100
    /// With many calls to make, an idle process makes one in this time.
    private static let shareUs: Int64 = 25_000
    /// How many slots of a schedule are made in a call.
    private static let mostSlotsInACall = 100
    private static let listIntervalUs: Int64 = 15_000_000

    init(store: JobStore) {
        self.store = store
        context = store.context
        dueTimer = LoopTimer(loop: context.loop) { [unowned self] in tickDue() }
        roundTimer = LoopTimer(loop: context.loop) { [unowned self] in askAll() }
    }

    var queues: [QueueName] { known.sorted { $0.text < $1.text } }

    func start() async {
        await refresh()
        scheduleRound()
        let listTimer = LoopTimer(loop: context.loop) { [unowned self] in context.loop.spawn { await self.refresh() } }
        listTimer.start(everyUs: QueueUpkeep.listIntervalUs)
        self.listTimer = listTimer
    }

    func stop() {
        isStopped = true
        dueTimer.cancel()
        roundTimer.cancel()
        listTimer?.cancel()
    }

    /// A queue there is, perhaps a new one.
    func add(_ queue: QueueName) {
        guard !isStopped, known.insert(queue).inserted else { return }
        onQueue?(queue)
        context.process.broadcasts.send(queue, to: JobSchedulingService.queueTopic)
        isDue(queue, inMs: 0)
    }

    /// Something of the queue is due in so many milliseconds.
    func isDue(_ queue: QueueName, inMs ms: Int) {
        add(queue)
        // What is due later than this is found by a round in time.
        let atUs = context.loop.nowUs + Int64(min(max(0, ms), 86_400_000)) * 1000
        if let known = dueUs[queue], known <= atUs { return }
        dueUs[queue] = atUs
        scheduleDue()
    }

    private func refresh() async {
        guard let queues = try? await store.queues() else { return }
        for queue in queues { add(queue) }
    }

    // MARK: Rounds

    /// The queues that a call asks.
    private var shares: [ArraySlice<QueueName>] {
        let queues = queues
        let most = context.redis.isCluster ? 1 : QueueUpkeep.mostInACall
        return stride(from: 0, to: queues.count, by: most).map { queues[$0..<min($0 + most, queues.count)] }
    }

    private func scheduleRound() {
        guard !isStopped else { return }
        roundTimer.start(afterUs: max(QueueUpkeep.intervalUs, Int64(shares.count) * QueueUpkeep.shareUs))
    }

    private func askAll() {
        // Each share by itself: one whose node is away must not keep the others waiting.
        for share in shares where !share.contains(where: beingAsked.contains) {
            beingAsked.formUnion(share)
            context.loop.spawn { [self] in
                await ask(Array(share))
                beingAsked.subtract(share)
            }
        }
        scheduleRound()
    }

    private func ask(_ queues: [QueueName]) async {
        // That the store is away its own log says; the next round is soon enough.
        guard let answer = try? await store.peek(queues) else { return }
        for (queue, found) in zip(queues, answer.found) where !isStopped {
            switch found.next {
            case .now: spawnTick(queue)
            case .atMs(let ms): isDue(queue, inMs: ms - answer.nowMs)
            case .nothingKnown: break
            }
            if found.hasUnsealedBatch, dropping.insert(queue).inserted {
                context.loop.spawn { [self] in
                    await dropUnsealed(queue, nowMs: answer.nowMs)
                    dropping.remove(queue)
                }
            }
        }
    }

    /// Drops batches that whoever made them did not complete in time: they were acknowledged to nobody. One whose jobs had
    /// begun to be released is released to its end.
    private func dropUnsealed(_ queue: QueueName, nowMs: Int) async {
        do {
            for name in try await store.unsealedBatches(queue, nowMs: nowMs) {
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

    // MARK: What is due

    private func scheduleDue() {
        guard !isStopped, let first = dueUs.values.min() else { return }
        dueTimer.start(afterUs: max(0, first - context.loop.nowUs))
    }

    private func tickDue() {
        let nowUs = context.loop.nowUs
        for (queue, atUs) in dueUs where atUs <= nowUs {
            dueUs[queue] = nil
            spawnTick(queue)
        }
        scheduleDue()
    }

    private func spawnTick(_ queue: QueueName) {
        guard beingTicked.insert(queue).inserted else { return isDue(queue, inMs: 50) }
        context.loop.spawn { [self] in
            await tick(queue)
            beingTicked.remove(queue)
        }
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

    /// A schedule that this process cannot read, such as one in a time zone that only newer data has. It stays as it is: a
    /// replica that can read it makes its runs.
    private func leaveToOthers(_ words: [String], _ queue: QueueName) {
        guard unreadable.insert(JobID(queue: queue, number: Int(words[0]) ?? 0)).inserted else { return }
        context.log.error(
            "a schedule cannot be read here; its runs are left to other replicas",
            [
                "queue": .string(queue.text), "job": .string(words[0]), "schedule": .string(words[2]),
                "timeZone": .string(words[3]),
            ])
    }

    /// - Parameter words: job, slot, schedule, time zone, missed, missedLimit, overlap, queueLimit.
    private func fire(_ words: [String], _ queue: QueueName, nowMs: Int) async throws {
        guard let slotMs = Int(words[1]) else { return }
        guard let schedule = try? Schedule(words[2]), let zone = Zone(identifier: words[3].isEmpty ? "UTC" : words[3])
        else { return leaveToOthers(words, queue) }
        let due = ScheduleSlots.Due(
            schedule: schedule, zone: zone, slotMs: slotMs,
            missed: MissedSlots(rawValue: words[4]) ?? .latest, missedLimit: Int(words[5]) ?? 1000)
        let plan = ScheduleSlots.plan(due, nowMs: nowMs)
        // Many slots are made in several steps, each of which takes the schedule from a slot to a later one.
        var slot = words[1]
        var rest = plan.run[...]
        var leftOut = plan.leftOut
        repeat {
            let some = rest.prefix(QueueUpkeep.mostSlotsInACall)
            rest = rest.dropFirst(some.count)
            let next = String(rest.first ?? plan.nextMs ?? 0)
            let answer = try await store.run(
                JobScripts.fire, queue,
                [words[0], slot, next, String(leftOut), String(store.limits.jobsPerQueue)] + some.map(String.init))
            guard answer.first == "fired" else { return }
            slot = next
            leftOut = 0
        } while !rest.isEmpty
        if let nextMs = plan.nextMs { isDue(queue, inMs: nextMs - nowMs) }
    }
}

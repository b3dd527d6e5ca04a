import TimeZones

/// The slots of a schedule: each is computed from the one before, never from a replica's clock.
enum ScheduleSlots {
    /// The slot of a schedule that has none: it is as good as ended, far in the future.
    static let neverMs = 253_402_300_800_000

    /// The first slot of a new schedule, ms since the epoch. A new schedule has no slot before it, so this one is from the
    /// clock.
    /// - Parameter nowMs: by Redis's clock.
    static func first(_ repetition: JobDraft.Repetition, nowMs: Int) -> Int {
        Zone(identifier: repetition.timeZone).flatMap { repetition.schedule.next(afterMs: nowMs, in: $0) } ?? neverMs
    }

    /// A schedule whose slot has come.
    struct Due {
        var schedule: Schedule
        var zone: Zone
        var slotMs: Int
        var missed: MissedSlots
        var missedLimit: Int
    }

    /// What is to be done about it.
    struct Plan: Equatable {
        /// The slots to run.
        var run: [Int] = []
        /// How many are left out.
        var leftOut = 0
        /// Where the schedule goes on; nil when it ends.
        var nextMs: Int?
    }

    /// A slot is missed when it is over this late.
    static let graceMs = 30_000
    /// The most slots that one step looks at; the schedule then goes on from there.
    static let mostInAStep = 5000

    /// - Parameter nowMs: by Redis's clock.
    static func plan(_ due: Due, nowMs: Int) -> Plan {
        var missed: [Int] = []
        var missedCount = 0
        var plan = Plan()
        var slot: Int? = due.slotMs
        var looked = 0
        while let current = slot, current <= nowMs, looked < mostInAStep {
            looked += 1
            if nowMs - current > graceMs {
                missedCount += 1
                missed.append(current)
                if missed.count > due.missedLimit { missed.removeFirst() }
            } else {
                plan.run.append(current)
            }
            slot = due.schedule.next(afterMs: current, in: due.zone)
        }
        let isBehind = slot.map { $0 <= nowMs } ?? false
        switch due.missed {
        case .none: plan.leftOut = missedCount
        case .latest:
            // Of several steps only the last one knows which is the latest.
            if !isBehind, let last = missed.last {
                plan.run.insert(last, at: 0)
                missedCount -= 1
            }
            plan.leftOut = missedCount
        case .all:
            plan.run = Array((missed + plan.run).suffix(1000))
            plan.leftOut = missedCount - missed.count
        }
        plan.nextMs = slot
        return plan
    }
}

import Testing
import TimeZones

@testable import JobScheduling

/// What is done about the slots of a schedule that was not looked at for a while.
struct ScheduleSlotsTests {
    private func plan(
        _ missed: MissedSlots, limit: Int = 1000, everyMs: Int = 60_000, slotMs: Int, nowMs: Int
    ) throws -> ScheduleSlots.Plan {
        let schedule = try Schedule("@every \(everyMs)ms")
        return ScheduleSlots.plan(
            .init(
                schedule: schedule, zone: try #require(Zone(identifier: "UTC")), slotMs: slotMs, missed: missed,
                missedLimit: limit),
            nowMs: nowMs)
    }

    @Test func anOutageOfFiveMinutes() throws {
        // Slots at minutes 1 to 6; it is 40 s past the sixth, so that all of them are missed.
        let nowMs = 6 * 60_000 + 40_000
        #expect(try plan(.none, slotMs: 60_000, nowMs: nowMs) == .init(run: [], leftOut: 6, nextMs: 420_000))
        #expect(try plan(.latest, slotMs: 60_000, nowMs: nowMs) == .init(run: [360_000], leftOut: 5, nextMs: 420_000))
        #expect(
            try plan(.all, slotMs: 60_000, nowMs: nowMs)
                == .init(run: (1...6).map { $0 * 60_000 }, leftOut: 0, nextMs: 420_000))
        #expect(
            try plan(.all, limit: 2, slotMs: 60_000, nowMs: nowMs)
                == .init(run: [300_000, 360_000], leftOut: 4, nextMs: 420_000))
    }

    @Test func aSlotWithinThirtySecondsIsNotMissed() throws {
        for missed in MissedSlots.allCases {
            #expect(
                try plan(missed, slotMs: 60_000, nowMs: 90_000) == .init(run: [60_000], leftOut: 0, nextMs: 120_000))
        }
        #expect(try plan(.none, slotMs: 60_000, nowMs: 90_001) == .init(run: [], leftOut: 1, nextMs: 120_000))
    }

    @Test func aLongOutageIsMadeUpForInSteps() throws {
        let nowMs = 20_000_000
        let first = try plan(.latest, everyMs: 1000, slotMs: 1000, nowMs: nowMs)
        #expect(first == .init(run: [], leftOut: 5000, nextMs: 5_001_000))
        let last = try plan(.latest, everyMs: 1000, slotMs: 19_000_000, nowMs: nowMs)
        #expect(last.run == [19_969_000] + (19_970...20_000).map { $0 * 1000 })
        #expect(last.nextMs == 20_001_000)
    }
}

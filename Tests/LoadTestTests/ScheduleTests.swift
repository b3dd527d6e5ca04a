import Testing

@testable import LoadTest

struct ScheduleTests {
    @Test func momentsAreEvenAndDoNotDrift() {
        // 3 a second does not divide a million: each moment is computed from its number.
        var schedule = OpenLoopSchedule(startUs: 1000, rate: 3, durationUs: 2_000_000)
        #expect(schedule.count == 6)
        var moments: [Int64] = []
        while let next = schedule.nextUs {
            #expect(schedule.takeDue(nowUs: next - 1) == nil)
            moments.append(schedule.takeDue(nowUs: next) ?? -1)
        }
        #expect(moments == [1000, 334_333, 667_666, 1_001_000, 1_334_333, 1_667_666])
        #expect(schedule.takeDue(nowUs: .max) == nil)
    }

    @Test func aLateLoopFindsEveryIntendedMoment() {
        var schedule = OpenLoopSchedule(startUs: 0, rate: 10_000, durationUs: 1_000_000)
        var taken: [Int64] = []
        while let due = schedule.takeDue(nowUs: 500_000) { taken.append(due) }
        #expect(taken.count == 5001)
        #expect(taken.first == 0)
        #expect(taken.last == 500_000)
        #expect(schedule.nextUs == 500_100)
    }

    @Test func countsAreBounded() {
        #expect(OpenLoopSchedule(startUs: 0, rate: 1000, durationUs: 1_000_000, maxRequests: 10).count == 10)
        #expect(OpenLoopSchedule(startUs: 0, rate: 1_000_000, durationUs: 600_000_000).count == 600_000_000)
        #expect(OpenLoopSchedule(startUs: 0, rate: 1, durationUs: 100_000).nextUs == nil)
    }
}

struct RingTests {
    @Test func keepsOrderOverGrowthAndWrapping() {
        var ring = Ring<Int>(capacity: 3)
        var expected = 0
        var next = 0
        for round in 0..<200 {
            for _ in 0..<(round % 7) {
                ring.append(next)
                next += 1
            }
            for _ in 0..<(round % 5) {
                guard let found = ring.popFirst() else { break }
                #expect(found == expected)
                expected += 1
            }
            #expect(ring.count == next - expected)
        }
        while let found = ring.popFirst() {
            #expect(found == expected)
            expected += 1
        }
        #expect(expected == next)
        #expect(ring.isEmpty)
    }
}

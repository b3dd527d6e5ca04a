import Testing

@testable import EventLoops

struct WorkSlicesTests {
    @Test func oneSliceIsDoneBetweenTwoPolls() async {
        let running = RunningLoop()
        let events = Events()
        let ticks = await running { loop in
            var left = 3
            var ticks: [Int64] = []
            for work in 0..<3 {
                loop.spawn {
                    var slices = WorkSlices(loop)
                    for _ in 0..<4 {
                        let endUs = MonotonicClock.nowUs() + WorkSlices.lengthUs
                        while MonotonicClock.nowUs() < endUs {}
                        await slices.pauseIfLong()
                        events.add("work \(work)")
                        ticks.append(loop.nowUs)
                    }
                    left -= 1
                }
            }
            _ = await eventually(loop) { left == 0 }
            return ticks
        }
        #expect(events.all == (0..<4).flatMap { _ in (0..<3).map { "work \($0)" } })
        // A loop reads its clock once after each poll.
        #expect(Set(ticks).count == 12)
    }

    @Test func shortWorkIsNotInterrupted() async {
        let running = RunningLoop()
        let events = Events()
        await running { loop in
            loop.spawn {
                var slices = WorkSlices(loop)
                await slices.pauseIfLong()
                events.add("done")
            }
            events.add("after")
        }
        #expect(events.all == ["done", "after"])
    }
}

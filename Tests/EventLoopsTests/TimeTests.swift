import EventLoops
import Testing

struct LoopTimerTests {
    @Test func fireInOrderAndNotEarly() async {
        let running = RunningLoop()
        let events = await running { loop -> [String] in
            let events = Events()
            let startUs = loop.nowUs
            let timers = [30, 10, 20].map { (ms: Int64) in
                loop.after(us: ms * 1000) {
                    events.add(MonotonicClock.nowUs() - startUs >= ms * 1000 ? "\(ms)" : "\(ms) early")
                }
            }
            _ = await eventually(loop) { events.all.count == 3 }
            withExtendedLifetime(timers) {}
            return events.all
        }
        #expect(events == ["10", "20", "30"])
    }

    @Test func cancelledReleasedAndMovedTimers() async {
        let events = await RunningLoop()() { loop -> [String] in
            let events = Events()
            let cancelled = loop.after(us: 1000) { events.add("cancelled") }
            cancelled.cancel()
            var released: LoopTimer? = loop.after(us: 1000) { events.add("released") }
            released = nil
            let moved = loop.after(us: 1000) { events.add("moved") }
            moved.start(afterUs: 20_000)
            let last = loop.after(us: 10_000) { events.add("between") }
            _ = await eventually(loop) { events.all.count == 2 }
            withExtendedLifetime((cancelled, released, moved, last)) {}
            return events.all
        }
        #expect(events == ["between", "moved"])
    }

    @Test func repeatsUntilItIsCancelledAndMayEndItself() async {
        let count = await RunningLoop()() { loop -> Int in
            var count = 0
            var timer: LoopTimer?
            timer = LoopTimer(loop: loop) {
                count += 1
                if count == 5 { timer = nil }
            }
            timer?.start(everyUs: 500)
            _ = await eventually(loop) { timer == nil }
            await loop.sleep(us: 5000)
            return count
        }
        #expect(count == 5)
    }

    @Test func theClockIsReadOncePerTick() async {
        let isOnce = await RunningLoop()() { loop -> Bool in
            await loop.sleep(us: 100)
            let nowUs = loop.nowUs
            while MonotonicClock.nowUs() < nowUs + 2000 {}
            guard loop.nowUs == nowUs else { return false }
            await loop.sleep(us: 100)
            return loop.nowUs > nowUs
        }
        #expect(isOnce)
    }
}

struct DeadlineWheelTests {
    private final class Holder: DeadlineHolder {
        let wheel: DeadlineWheel
        let loop: EventLoop
        var deadline: Deadline!
        var passedUs: [Int64] = []
        var onPassed: (() -> Void)?

        init(_ wheel: DeadlineWheel, _ loop: EventLoop) {
            self.wheel = wheel
            self.loop = loop
            deadline = Deadline(wheel: wheel, holder: self)
        }

        func deadlinePassed() {
            passedUs.append(loop.nowUs)
            onPassed?()
        }
    }

    /// Random deadlines, moved back and forth, some beyond the wheel: each passes once, and not before its time.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func eachPassesOnceAndNotEarly(_ seed: UInt64) async {
        let problems = await RunningLoop()() { loop -> [String] in
            var random = SplitMix(state: seed)
            let wheel = DeadlineWheel(loop: loop, slotUs: 1000, slotCount: 16)
            let holders = (0..<200).map { _ in Holder(wheel, loop) }
            for round in 0..<4 {
                for holder in holders where holder.passedUs.isEmpty {
                    // Most of them lie beyond the 16 ms that the wheel spans.
                    if round == 0 || Bool.random(using: &random) {
                        holder.deadline.move(toUs: loop.nowUs + Int64.random(in: 0...60_000, using: &random))
                    }
                }
                await loop.sleep(us: 5000)
            }
            let all = await eventually(loop) { holders.allSatisfy { !$0.passedUs.isEmpty } }
            await loop.sleep(us: 20_000)
            var problems = all ? [] : ["\(holders.count { $0.passedUs.isEmpty }) never passed"]
            for holder in holders {
                if holder.passedUs.count > 1 { problems.append("passed \(holder.passedUs.count) times") }
                if holder.deadline.us != .max { problems.append("a deadline is left") }
            }
            return problems
        }
        #expect(problems == [], "seed \(seed)")
    }

    @Test func passesAfterItsTimeAndSoon() async {
        let late = await RunningLoop()() { loop -> [Int64] in
            let wheel = DeadlineWheel(loop: loop, slotUs: 1000, slotCount: 8)
            var late: [Int64] = []
            for delayUs in [0, 500, 1000, 7999, 8000, 30_000] as [Int64] {
                let holder = Holder(wheel, loop)
                let dueUs = loop.nowUs + delayUs
                holder.deadline.move(toUs: dueUs)
                _ = await eventually(loop) { !holder.passedUs.isEmpty }
                late.append((holder.passedUs.first ?? .max) - dueUs)
            }
            return late
        }
        #expect(late.allSatisfy { $0 >= 0 }, "\(late)")
        // Two slots, and what a loaded machine adds.
        #expect(late.min()! <= 4000, "\(late)")
    }

    @Test func movedBackMovedForwardTakenOffAndReleased() async {
        let outcome = await RunningLoop()() { loop -> [Int] in
            let wheel = DeadlineWheel(loop: loop, slotUs: 1000, slotCount: 64)
            let holders = (0..<4).map { _ in Holder(wheel, loop) }
            let nowUs = loop.nowUs
            holders[0].deadline.move(toUs: nowUs + 5000)
            holders[0].deadline.move(toUs: nowUs + 60_000_000)
            holders[1].deadline.move(toUs: nowUs + 60_000_000)
            holders[1].deadline.move(toUs: nowUs + 3000)
            holders[2].deadline.move(toUs: nowUs + 3000)
            holders[2].deadline.move(toUs: .max)
            holders[3].deadline.move(toUs: nowUs + 3000)
            holders[3].deadline = nil
            _ = await eventually(loop) { !holders[1].passedUs.isEmpty }
            await loop.sleep(us: 20_000)
            return holders.map { $0.passedUs.count }
        }
        #expect(outcome == [0, 1, 0, 0])
    }

    /// A loop that was held up looks at several slots at once; a lone deadline beyond the wheel is then placed from one of
    /// the first of them.
    @Test func aLoopThatWasHeldUpFindsTheEndOfItsTurn() async {
        let count = await RunningLoop()() { loop -> Int in
            let wheel = DeadlineWheel(loop: loop, slotUs: 1000, slotCount: 4)
            let holder = Holder(wheel, loop)
            holder.deadline.move(toUs: loop.nowUs + 60_000)
            for heldUpUs in 1...20 as ClosedRange<Int64> {
                let endUs = MonotonicClock.nowUs() + heldUpUs * 500
                while MonotonicClock.nowUs() < endUs {}
                await loop.sleep(us: 100)
            }
            _ = await eventually(loop) { !holder.passedUs.isEmpty }
            return holder.passedUs.count
        }
        #expect(count == 1)
    }

    @Test func mayBeSetAgainWhenItPasses() async {
        let count = await RunningLoop()() { loop -> Int in
            let wheel = DeadlineWheel(loop: loop, slotUs: 1000, slotCount: 8)
            let holder = Holder(wheel, loop)
            holder.onPassed = { [unowned holder] in
                if holder.passedUs.count < 5 { holder.deadline.move(toUs: holder.loop.nowUs + 500) }
            }
            holder.deadline.move(toUs: loop.nowUs)
            _ = await eventually(loop) { holder.passedUs.count == 5 }
            await loop.sleep(us: 5000)
            return holder.passedUs.count
        }
        #expect(count == 5)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), so that a failure's seed replays it.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

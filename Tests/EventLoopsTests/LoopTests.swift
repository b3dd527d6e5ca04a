import Glibc
import Testing

@testable import EventLoops

struct LostTimeTests {
    /// What a tick is busy for beyond its due is lost time; waiting is not.
    @Test func busyTicksLoseTime() async {
        let running = RunningLoop()
        let before = await running { loop in
            await loop.sleep(us: 50_000)
            return loop.lostUs
        }
        await running { _ in _ = usleep(40_000) }
        let after = await running { $0.lostUs }
        #expect(after - before >= 40_000 - EventLoop.attentiveUs)
    }
}

struct MailboxTests {
    @Test func keepsTheOrderAndWakesOnce() {
        let mailbox = Mailbox()
        let events = Events()
        for i in 0..<5 { mailbox.put { events.add("\(i)") } }
        var wakes: UInt64 = 0
        #expect(read(mailbox.descriptor, &wakes, 8) == 8)
        #expect(wakes == 1)
        for work in mailbox.takeAll() { work() }
        #expect(events.all == ["0", "1", "2", "3", "4"])
        #expect(mailbox.takeAll().isEmpty)
        // What comes after the list was taken wakes again.
        mailbox.put {}
        #expect(read(mailbox.descriptor, &wakes, 8) == 8)
        #expect(wakes == 1)
    }

    @Test func takingLeavesNoWakeBehind() {
        let mailbox = Mailbox()
        mailbox.put {}
        #expect(mailbox.takeAll().count == 1)
        var wakes: UInt64 = 0
        #expect(read(mailbox.descriptor, &wakes, 8) == -1 && errno == EAGAIN)
    }

    @Test func eachSendersOrderIsKept() async {
        let running = RunningLoop()
        let received = (0..<4).map { _ in Events() }
        await withTaskGroup(of: Void.self) { group in
            for events in received {
                group.addTask {
                    for i in 0..<1000 {
                        running.loop.send { events.add(running.loop.isCurrent ? "\(i)" : "elsewhere") }
                    }
                }
            }
        }
        await running { _ in }
        for events in received { #expect(events.all == (0..<1000).map { "\($0)" }) }
    }
}

struct EndOfTickTests {
    @Test func phasesRunInOrderAfterJobs() async {
        let events = await RunningLoop()() { loop -> [String] in
            let events = Events()
            let items = EndOfTickPhase.allCases.map { phase in Item { events.add("\(phase)") } }
            for phase in EndOfTickPhase.allCases.reversed() { loop.atEndOfTick(phase, items[phase.rawValue]) }
            loop.spawn {
                await Task.yield()
                events.add("job")
            }
            events.add("callback")
            _ = await eventually(loop) { events.all.count == 5 }
            return events.all
        }
        #expect(events == ["callback", "job", "responses", "gather", "commands"])
    }

    /// An item that asks for an earlier phase is served before the later phases go on.
    @Test func anEarlierPhaseIsDoneAgainFirst() async {
        let events = await RunningLoop()() { loop -> [String] in
            let events = Events()
            let again = Item { events.add("responses again") }
            let response = Item { events.add("responses") }
            let gather = Item {
                events.add("gather")
                loop.atEndOfTick(.responses, again)
            }
            let command = Item { events.add("commands") }
            loop.atEndOfTick(.commands, command)
            loop.atEndOfTick(.gather, gather)
            loop.atEndOfTick(.responses, response)
            _ = await eventually(loop) { events.all.count == 4 }
            return events.all
        }
        #expect(events == ["responses", "gather", "responses again", "commands"])
    }

    @Test func allOfAPhaseAreCalledOnceInOrder() async {
        let events = await RunningLoop()() { loop -> [String] in
            let events = Events()
            let items = (0..<10).map { i in Item { events.add("\(i)") } }
            for _ in 0..<3 {
                for item in items { loop.atEndOfTick(.commands, item) }
                await loop.sleep(us: 100)
            }
            return events.all
        }
        #expect(events == (0..<30).map { "\($0 % 10)" })
    }
}

struct SpawnTests {
    @Test func everySuspensionResumesOnTheSameThread() async {
        let (running, other) = (RunningLoop(), RunningLoop())
        let places = await running { loop -> [Bool] in
            let thread = pthread_self()
            var places: [Bool] = []
            func look() { places.append(pthread_equal(pthread_self(), thread) != 0 && loop.isCurrent) }
            look()
            await loop.sleep(us: 100)
            look()
            await Task.yield()
            look()
            let there = await other { inner in inner.isCurrent && !loop.isCurrent }
            places.append(there)
            look()
            let name = await BlockingPool.shared.run { EventLoop.current == nil }
            places.append(name)
            look()
            await helper()
            look()
            return places
        }
        #expect(places == Array(repeating: true, count: 8))
    }

    /// Asynchronous functions without a home of their own stay on the loop that calls them.
    private func helper() async { await Task.yield() }

    @Test func startsAtOnce() async {
        let events = await RunningLoop()() { loop -> [String] in
            let events = Events()
            loop.spawn {
                events.add("first")
                await loop.sleep(us: 10)
                events.add("third")
            }
            events.add("second")
            _ = await eventually(loop) { events.all.count == 3 }
            return events.all
        }
        #expect(events == ["first", "second", "third"])
    }

    @Test func suspendHandsOverTheValue() async {
        let value = await RunningLoop()() { loop -> Int in
            var timer: LoopTimer?
            let value = await suspend { resume in timer = loop.after(us: 10) { resume(42) } }
            withExtendedLifetime(timer) {}
            // At once, without suspending at all.
            return value + (await suspend { resume in resume(1) })
        }
        #expect(value == 43)
    }

    @Test func eachLoopOfAGroupIsAThread() async {
        let group = EventLoopGroup(count: 3)
        group.start()
        var seen: Set<UInt> = []
        for (i, loop) in group.loops.enumerated() {
            #expect(loop.index == i)
            seen.insert(await loop.run { UInt(pthread_self()) })
        }
        #expect(seen.count == 3)
        #expect(EventLoop.current == nil)
        group.stop()
    }

    @Test func theBlockingPoolRunsSeveralAtOnce() async {
        let here = Events()
        // Each waits for the other, so that one thread alone would wait for ever.
        let results = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    await BlockingPool.shared.run {
                        here.add("")
                        for _ in 0..<30_000 where here.count < 2 { usleep(1000) }
                        return here.count == 2
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results == [true, true])
    }
}

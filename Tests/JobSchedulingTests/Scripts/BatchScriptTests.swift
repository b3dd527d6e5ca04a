import Redis
import TestSupport
import Testing

@testable import JobScheduling

/// Batches that are filled in parts, under a given clock.
struct BatchScriptTests {
    private typealias New = ScriptedQueue.New

    private func exists(_ queue: ScriptedQueue, _ key: String) throws -> Bool {
        try queue.command("EXISTS", queue.base + key) == .integer(1)
    }

    private func unsealed(_ queue: ScriptedQueue) throws -> [String] {
        try queue.command("ZRANGEBYSCORE", queue.base + "unsealed", "-inf", String(queue.nowMs)).elements.map(\.text)
    }

    @Test func nothingOfABatchStartsBeforeAllOfIt() throws {
        let queue = try ScriptedQueue()
        let before = try queue.enqueue([New()]).first
        try queue.batch("open", "b", total: 4)
        let own = New(fields: ["after": "\(JobID.digits(before)):success"])
        let cached = New(fields: ["cache": "d 60000"])
        let first = try queue.enqueue([New(), own, cached, cached], batch: ("b", 0)).first
        let lease = try queue.exchange("w", most: 10).leases
        #expect(lease.map(\.number) == [before])
        // What one of them waited for has ended, the batch is still being filled.
        #expect(try queue.complete("w", lease) == ["ok"])
        #expect(try queue.exchange("w", most: 10).leases.isEmpty)
        #expect(try queue.batch("release", "b") == "sealed")
        let started = try queue.exchange("w", most: 10).leases
        #expect(started.map(\.number) == [first, first + 1, first + 2], "the fourth has the third's result")
        #expect(try queue.complete("w", started) == ["ok", "ok", "ok"])
        #expect(try queue.state(first + 3).word == "completed")
        #expect(try queue.command("HGET", queue.base + "batch:b", "completed").text == "4")
        #expect(try exists(queue, "batch:b") && queue.faults() == [])
    }

    @Test func aBatchThatIsNotCompletedHoldsNothing() throws {
        let queue = try ScriptedQueue()
        let callback = try queue.enqueue([New(place: "waiting", dueMs: 0)]).first
        try queue.batch("open", "b", total: 2000, callback: JobID.digits(callback))
        // More than one call drops; each of the first few has something that others would wait for.
        var jobs = (0..<900).map { _ in New() }
        jobs[0].fields["unique"] = "u"
        jobs[1].fields["cache"] = "d 60000"
        jobs[2].fields["cache"] = "d 60000"
        jobs[899].fields["after"] = "#1:success"
        let first = try queue.enqueue(jobs, batch: ("b", 0)).first
        let follower = try queue.enqueue([New(fields: ["cache": "d 60000"])]).first
        let dependant = try queue.enqueue([New(fields: ["after": "\(JobID.digits(first)):completion"])]).first
        queue.nowMs += 59_999
        #expect(try unsealed(queue) == [])
        queue.nowMs += 1
        #expect(try unsealed(queue) == ["b"])
        #expect(try queue.batch("drop", "b") == "gone")
        for key in ["batch:b", "batch:b:held", "unsealed", "unique:u"] { #expect(try !exists(queue, key), "\(key)") }
        for number in [callback, first, first + 2, first + 899] {
            #expect(try queue.fields(number).isEmpty, "\(number)")
        }
        #expect(try queue.members("waiting") == [] && queue.members("ended") == [] && queue.members("dead") == [])
        let started = try queue.exchange("w", most: 10).leases.map(\.number)
        #expect(started == [follower, dependant], "those from elsewhere go on")
        #expect(try queue.enqueue([New(fields: ["unique": "u"])]).outcomes == ["created"])
        #expect(try queue.faults() == [])
        // Whoever comes back to it finds it gone.
        #expect(try queue.enqueue([New()], batch: ("b", 900)).outcomes == ["broken"])
        #expect(try queue.batch("release", "b") == "gone")
    }

    @Test func whoGoesOnFillingHasMoreTime() throws {
        let queue = try ScriptedQueue()
        try queue.batch("open", "b", total: 2)
        queue.nowMs += 50_000
        _ = try queue.enqueue([New()], batch: ("b", 0))
        queue.nowMs += 50_000
        #expect(try unsealed(queue) == [])
        queue.nowMs += 10_000
        #expect(try unsealed(queue) == ["b"])
    }

    @Test func aBatchThatHasBegunIsReleasedToItsEnd() throws {
        let queue = try ScriptedQueue()
        try queue.batch("open", "b", total: 900)
        _ = try queue.enqueue((0..<900).map { _ in New() }, batch: ("b", 0))
        #expect(try queue.run(JobScripts.batch, ["release", "b"]) == ["more"])
        queue.nowMs += 60_000
        #expect(try queue.batch("drop", "b") == "sealed")
        #expect(try queue.members("ready:noop").count == 900)
        #expect(try !exists(queue, "unsealed"))
    }

    @Test func aJobThatThereWasBeforeIsNoneOfTheBatch() throws {
        let queue = try ScriptedQueue()
        let holder = try queue.enqueue([New(fields: ["unique": "u"])])
        let callback = try queue.enqueue([New(place: "waiting", dueMs: 0)]).first
        try queue.batch("open", "b", total: 2, callback: JobID.digits(callback))
        let made = try queue.enqueue([New(), New(fields: ["unique": "u"])], batch: ("b", 0))
        #expect(made.outcomes == ["created", "existing \(JobID.digits(holder.first))"])
        try queue.batch("release", "b")
        let leases = try queue.exchange("w", most: 10).leases
        #expect(leases.map(\.number) == [holder.first, made.first])
        try queue.complete("w", leases)
        #expect(try queue.command("HGET", queue.base + "batch:b", "total").text == "1")
        #expect(try queue.exchange("w", most: 10).leases.map(\.number) == [callback])
    }
}

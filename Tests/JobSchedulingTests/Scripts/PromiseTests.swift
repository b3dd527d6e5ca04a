import JSON
import TestSupport
import Testing

@testable import JobScheduling

/// Promises that are not kept, and who is told of ends, under a given clock.
struct PromiseTests {
    private typealias New = ScriptedQueue.New
    private typealias Ended = ScriptedQueue.Ended

    /// `job what actual promised` of each violation.
    private func violations(_ queue: ScriptedQueue) throws -> [String] {
        try queue.command("XRANGE", queue.base + "violations", "-", "+").elements.map { entry in
            let words = entry.elements[1].elements.map(\.text)
            return [3, 5, 7, 9].map { words[$0] }.joined(separator: " ")
        }
    }

    /// What the jobs of kind `http` that wait are to tell: `event job`.
    private func alerts(_ queue: ScriptedQueue) throws -> [String] {
        try queue.members("ready:http").map { number in
            let config = try JSONValue(try queue.fields(number)["config"] ?? "")
            #expect(config["url"]?.text == "http://ops/")
            return "\(config["body"]?["event"]?.text ?? "") \(config["body"]?["job"]?.text ?? "")"
        }
    }

    @Test func violationsAreListedWithWhatWasPromised() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["type", "noop", "queueMs=1000 runMs=2000"])
        try queue.run(JobScripts.settings, ["alert", "noop", "http://ops/"])
        let number = try queue.enqueue([New()]).first
        queue.nowMs += 1000
        let inTime = try queue.exchange("w", most: 1).leases
        queue.nowMs += 2000
        try queue.complete("w", inTime)
        #expect(try violations(queue) == [] && alerts(queue) == [])
        _ = try queue.enqueue([New()])
        queue.nowMs += 1500
        let late = try queue.exchange("w", most: 1).leases
        queue.nowMs += 2001
        try queue.complete("w", late)
        let digits = JobID.digits(number + 1)
        #expect(try violations(queue) == ["\(digits) queue 1500 1000", "\(digits) run 2001 2000"])
        #expect(try alerts(queue).map { $0.prefix(4) } == ["sla ", "sla "])
        #expect(try queue.command("HGETALL", queue.base + "sla:noop").elements.count == 6)
        #expect(try queue.faults(types: ["noop", "http"]) == [])
    }

    @Test func finalFailuresAreTold() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["alert", "noop", "http://ops/"])
        let first = try queue.enqueue([
            New(fields: ["retries": "1"]), New(), New(fields: ["timeout": "100"]), New(),
        ]).first
        let leases = try queue.exchange("w", most: 4).leases
        let outcomes = ["failed", "permanent", "timeout", "completed"]
        let ended = zip(leases, outcomes).map { Ended(number: $0.number, token: $0.token, outcome: $1, text: "no") }
        #expect(try queue.exchange("w", ended, most: 0).results == ["ok", "ok", "ok", "ok"])
        let queueName = queue.base.split(separator: "{").last?.prefix { $0 != "}" } ?? ""
        func told(_ event: String, _ number: Int) -> String { "\(event) \(queueName)-\(JobID.digits(number))" }
        #expect(try alerts(queue) == [told("failed", first + 1), told("timeout", first + 2)], "one may be tried again")
        queue.nowMs += 3000
        let again = try #require(try queue.exchange("w", most: 1).leases.first)
        #expect(again.number == first && again.attempt == 2)
        let end = Ended(number: first, token: again.token, outcome: "failed", text: "no")
        _ = try queue.exchange("w", [end], most: 0)
        #expect(try alerts(queue).last == told("failed", first))
    }

    @Test func anAlertThatFailsAlertsNobody() throws {
        let queue = try ScriptedQueue()
        for type in ["noop", "http"] { try queue.run(JobScripts.settings, ["alert", type, "http://ops/"]) }
        _ = try queue.enqueue([New()])
        for type in ["noop", "http"] {
            let lease = try #require(try queue.exchange("w", most: 1, types: [type]).leases.first)
            let end = Ended(number: lease.number, token: lease.token, outcome: "permanent", text: "no")
            #expect(try queue.exchange("w", [end], most: 0).results == ["ok"])
        }
        #expect(try alerts(queue) == [])
        #expect(try queue.members("dead").count == 2)
    }

    @Test func aPoisonedJobIsToldAndItsUniqueKeyFree() throws {
        let queue = try ScriptedQueue()
        try queue.run(JobScripts.settings, ["alert", "noop", "http://ops/"])
        _ = try queue.enqueue([New(fields: ["unique": "u"])])
        for round in 1...3 {
            #expect(try queue.enqueue([New(fields: ["unique": "u"])]).outcomes[0].hasPrefix("existing"))
            #expect(try queue.exchange("w\(round)", most: 1).leases.count == 1)
            for _ in 0..<5 {
                queue.nowMs += 3100
                try queue.tick()
            }
        }
        #expect(try alerts(queue).map { $0.prefix(5) } == ["dead "])
        #expect(try queue.enqueue([New(fields: ["unique": "u"])]).outcomes == ["created"])
    }
}

import JSON
import TestSupport
import Testing

@testable import JobScheduling

/// What whoever uses the scheduler cannot make more and more of.
struct JobLimitTests {
    private func body(_ name: String, _ more: String = "") -> String {
        #"{"name":"\#(name)","type":"simulated","manual":true\#(more)}"#
    }

    @Test func aQueueHasSoManyJobsThatHaveNotEnded() throws {
        let server = try JobServer(works: false, settings: ["max-jobs-per-queue": "5"])
        let ids = try server.createAll((0..<4).map { body("j\($0)") })
        let two = #"{"jobs":[\#(body("a")),\#(body("b"))]}"#
        #expect(try server.send("POST", "/api/jobs/bulk", two).status == 429)
        let schedule = try server.create(#"{"name":"s","type":"simulated","schedule":"@yearly"}"#)
        let refused = try server.send("POST", "/api/jobs", body("more"))
        #expect(refused.status == 429 && refused.json?["field"]?.text == "queue", "\(refused.text)")
        #expect(refused.header("retry-after") != nil && refused.text.contains("max-jobs-per-queue"))
        #expect(try server.send("POST", "/api/jobs/\(schedule)/run").status == 429)
        #expect(try server.send("POST", "/api/jobs", body("elsewhere", #","queue":"other""#)).status == 201)
        #expect(try server.send("POST", "/api/jobs/\(ids[0])/cancel").status == 200)
        #expect(try server.send("POST", "/api/jobs/\(schedule)/run").status == 200)
        #expect(try server.send("POST", "/api/jobs", body("more")).status == 429)
        #expect(try server.figures()["idle"]?.number == 3)
    }

    @Test func thereAreSoManyQueues() throws {
        let server = try JobServer(works: false, settings: ["max-queues": "2"])
        for queue in ["a", "b"] {
            #expect(try server.send("POST", "/api/jobs", body("j", #","queue":"\#(queue)""#)).status == 201)
        }
        for (method, path, body) in [
            ("POST", "/api/jobs", body("j", #","queue":"c""#)),
            ("PUT", "/api/resources?queue=c", #"{"cpu":1}"#),
            ("PUT", "/api/job-types/t?queue=c", #"{"external":true}"#),
        ] {
            let answer = try server.send(method, path, body)
            #expect(answer.status == 429 && answer.json?["field"]?.text == "queue", "\(path): \(answer.text)")
        }
        #expect(try server.send("POST", "/api/jobs", body("j", #","queue":"a""#)).status == 201)
    }

    @Test func askingForAQueueThatIsNoneLeavesNothing() throws {
        let redis = try RedisServer()
        let server = try JobServer(redis, works: false)
        let execution = #"{"executionId":"none-000000000001.5"}"#
        let calls: [(String, String, String?)] = [
            ("POST", "/api/workers/lease", #"{"worker":"w","types":["noop"],"queues":["none"]}"#),
            ("POST", "/api/workers/heartbeat", #"{"worker":"w","items":[\#(execution)]}"#),
            ("POST", "/api/jobs/none-000000000001/run", nil), ("POST", "/api/jobs/none-000000000001/cancel", nil),
            ("DELETE", "/api/jobs/none-000000000001", nil), ("GET", "/api/jobs/none-000000000001", nil),
            ("GET", "/api/sla?queue=none", nil), ("GET", "/api/resources?queue=none", nil),
        ]
        for (method, path, body) in calls {
            #expect(try server.send(method, path, body).status < 500, "\(path)")
        }
        let keys = try redis.redis("KEYS", "*{none}*")
        #expect(keys.isEmpty, "\(keys)")
    }

    @Test func aQueueHasSoManyTypes() throws {
        let queue = try ScriptedQueue()
        for i in 0..<1000 { try queue.run(JobScripts.settings, ["type", "t\(i)", "external=1"]) }
        #expect(try queue.run(JobScripts.settings, ["type", "more", "external=1"]) == ["full"])
        #expect(try queue.run(JobScripts.settings, ["type", "t5", "external=1"]) == ["done"])
    }

    @Test func slotsOfAScheduleAreLeftOutWhereThereIsNoRoom() throws {
        let queue = try ScriptedQueue()
        queue.limit = 3
        let schedule = try queue.enqueue([
            .init(place: "schedules", dueMs: queue.nowMs, fields: ["schedule": "@every 1s"])
        ]).first
        var runs: [Int] = []
        for i in 0..<5 {
            let slotMs = queue.nowMs + i * 1000
            if let run = try queue.fire(schedule, slotMs: slotMs, nextMs: slotMs + 1000) { runs.append(run) }
        }
        #expect(runs.count == 2)
        #expect(try queue.fields(schedule)["skippedSlots"] == "3")
        #expect(try queue.faults().isEmpty)
    }

    @Test func whatEndsLeavesNoNamesBehind() throws {
        let queue = try ScriptedQueue()
        for i in 0..<20 {
            let number = try queue.enqueue([.init(fields: ["conflict": "merge 0 n\(i)", "unique": "u\(i)"])]).first
            let lease = try #require(try queue.exchange("w", most: 1).leases.first)
            #expect(lease.number == number)
            try queue.complete("w", [lease])
        }
        let keys = try queue.command("KEYS", queue.base.replacing("{", with: "*") + "*").elements.map(\.text)
        #expect(
            !keys.contains { $0.hasSuffix(":merging") || $0.hasSuffix(":holders") || $0.contains(":unique:") },
            "\(keys)")
    }

    @Test func soManyNamesOfWorkersAreListed() throws {
        let queue = try ScriptedQueue()
        _ = try queue.enqueue([.init()])
        let set = queue.base + "workers"
        for part in 0..<10 {
            let members = (0..<1000).flatMap { [String(queue.nowMs), "w\(part * 1000 + $0)"] }
            _ = try queue.command(words: ["ZADD", set] + members)
        }
        let lease = try #require(try queue.exchange("new", most: 1).leases.first)
        #expect(try queue.heartbeat("new", [lease]) == ["ok"])
        #expect(try queue.command("ZCARD", set) == .integer(10_000))
        #expect(try queue.heartbeat("w5", []) == [])
    }

    @Test func aJobsHistoryAndAQueuesPoolsAreSoMany() throws {
        let queue = try ScriptedQueue()
        let number = try queue.enqueue([.init()]).first
        for i in 0..<120 {
            let lease = try #require(try queue.exchange("w", most: 1).leases.first)
            let ended = ScriptedQueue.Ended(number: number, token: lease.token, outcome: "released", text: "\(i)")
            #expect(try queue.exchange("w", [ended], most: 0).results == ["ok"])
        }
        #expect(try queue.command("LLEN", queue.base + "history:" + JobID.digits(number)) == .integer(100))
        let server = try JobServer(works: false)
        let pools = (0..<65).map { #""p\#($0)":1"# }.joined(separator: ",")
        #expect(try server.send("PUT", "/api/resources", "{\(pools)}").status == 400)
    }

    @Test func aBodyIsSoLarge() throws {
        let server = try JobServer(works: false)
        let text = String(repeating: "x", count: 600_000)
        let config = try server.send("POST", "/api/jobs", body("a", #","config":{"text":"\#(text)"}"#))
        #expect(config.status == 400 && config.json?["field"]?.text == "config", "\(config.text.prefix(200))")
        #expect(
            try server.send("POST", "/api/jobs", body("a", #","config":{"text":"\#(text)\#(text)"}"#)).status == 413)
        let name = String(repeating: "n", count: 257)
        #expect(try server.send("POST", "/api/jobs", body(name)).json?["field"]?.text == "name")
        let key = try server.send("POST", "/api/jobs", body("a", #","unique":{"key":"\#(name)"}"#))
        #expect(key.status == 400 && key.json?["field"]?.text == "unique.key")
    }
}

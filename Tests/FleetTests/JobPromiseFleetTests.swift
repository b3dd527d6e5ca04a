import Bytes
import EventLoops
import Glibc
import JSON
import TestSupport
import Testing

/// What jobs are promised across processes: their time, their slot, what a dead worker held.
@Suite struct JobPromiseFleetTests {
    private static func api(_ redis: RedisServer) async throws -> Replica {
        try await Replica(["serve", "--redis", redis.url, "--services", "jobs", "--loops", "1"])
    }

    private static func worker(_ redis: RedisServer, _ arguments: String...) async throws -> Replica {
        try await Replica(["work", "--redis", redis.workerURL, "--loops", "1"] + arguments)
    }

    private static func create(_ api: Replica, _ body: String) throws -> String {
        let answer = try api.request("POST", "/api/jobs", body: body)
        guard answer.status == 201, case .string(let id)? = answer.json?["id"] else {
            throw SetUpFailure("no job: \(answer.status) \(answer.text)")
        }
        return id
    }

    private static func word(_ api: Replica, _ id: String, _ member: String = "status") throws -> String {
        if case .string(let word)? = try api.request("GET", "/api/jobs/\(id)").json?[member] { word } else { "" }
    }

    /// ms since the epoch.
    private static func time(_ value: JSONValue?) -> Int? {
        guard case .string(let text)? = value, let time = text.withByteView({ Timestamp(rfc3339: $0) }) else {
            return nil
        }
        return Int(time.us / 1000)
    }

    // MARK: Times

    @Test func delayedJobsStartWhenTheyAreDue() async throws {
        let redis = try RedisServer()
        let api = try await JobPromiseFleetTests.api(redis)
        let worker = try await JobPromiseFleetTests.worker(redis, "--concurrency", "50")
        // The first job of all makes the queue known to the worker.
        let first = try JobPromiseFleetTests.create(api, #"{"name":"first","type":"simulated"}"#)
        #expect(try await eventually { try JobPromiseFleetTests.word(api, first) == "completed" })
        let (count, apartMs) = (250, 20)
        let startMs = Int(WallClock.nowUs() / 1000) + 2000
        let jobs = (0..<count).map { i in
            let due = Timestamp(us: Int64(startMs + apartMs * i) * 1000).rfc3339
            return #"{"name":"j","type":"simulated","runAt":"\#(due)","config":{"result":\#(startMs + apartMs * i)}}"#
        }
        let answer = try api.request("POST", "/api/jobs/bulk", body: #"{"jobs":[\#(jobs.joined(separator: ","))]}"#)
        #expect(answer.status == 201)
        var done: [JSONValue] = []
        #expect(
            try await eventually {
                guard
                    case .array(let jobs)? = try api.request("GET", "/api/jobs?status=completed&name=j&limit=1000").json
                else { return false }
                done = jobs
                return jobs.count == count
            })
        let late = try done.map { job -> Int in
            guard case .int(let due)? = job["config"]?["result"],
                let start = JobPromiseFleetTests.time(job["startedAt"])
            else { throw SetUpFailure("no start: \(job.text())") }
            return start - due
        }.sorted()
        #expect(late[0] >= 0, "never before its time")
        print(
            "start − due of \(count) jobs, ms: p50 \(late[count / 2]), p99 \(late[count * 99 / 100]), last \(late[count - 1])"
        )
        // A machine may be busy; a worker that looks every few seconds would be seen.
        #expect(late[count / 2] < 2000)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func aCancelReachesAWorkerAtOnce() async throws {
        let redis = try RedisServer()
        let api = try await JobPromiseFleetTests.api(redis)
        let worker = try await JobPromiseFleetTests.worker(redis)
        let id = try JobPromiseFleetTests.create(
            api, #"{"name":"a","type":"simulated","config":{"durationMs":600000}}"#)
        #expect(try await eventually { try JobPromiseFleetTests.word(api, id) == "running" })
        let fromUs = MonotonicClock.nowUs()
        #expect(try api.request("POST", "/api/jobs/\(id)/cancel").status == 202)
        #expect(try blockingUntil { try JobPromiseFleetTests.word(api, id) == "cancelled" })
        // The heartbeat, which tells it as well, is 5 s away: the job has only just started.
        let tookMs = (MonotonicClock.nowUs() - fromUs) / 1000
        #expect(tookMs < 4500, "\(tookMs) ms")
        #expect(try await worker.program.terminate() == 0)
    }

    // MARK: Slots

    /// Every slot of a schedule as the commands of the scripts have it: which run each made, and which runs completed.
    private struct Slots {
        var runs: [(slotMs: Int, job: String)] = []
        var completed: [String: Int] = [:]

        init(_ lines: [String]) {
            for line in lines where line.contains(" lua]") {
                let words = line.components("\" \"")
                guard words.count > 3, words[0].hasSuffix("\"HSET") else { continue }
                if let slot = words.firstIndex(of: "slot"), words.contains("of") {
                    runs.append((Int(words[slot + 1]) ?? 0, words[1]))
                } else if words[2] == "state", words[3].hasPrefix("completed") {
                    completed[words[1], default: 0] += 1
                }
            }
        }
    }

    @Test func everySlotHasOneExecutionThoughAReplicaDies() async throws {
        let redis = try RedisServer()
        let monitor = try redis.connect()
        _ = try monitor.exchange(["MONITOR"])
        var replicas: [Replica] = []
        for _ in 0..<5 {
            replicas.append(
                try await Replica([
                    "serve", "--redis", redis.url, "--services", "jobs", "--loops", "1", "--with-worker",
                ]))
        }
        let id = try JobPromiseFleetTests.create(
            replicas[1], #"{"name":"tick","type":"simulated","schedule":"@every 1s"}"#)
        let firstMs = try #require(
            JobPromiseFleetTests.time(try replicas[1].request("GET", "/api/jobs/\(id)").json?["nextRun"]))
        func successes() throws -> Int {
            if case .int(let count)? = try replicas[1].request("GET", "/api/jobs/\(id)").json?["successCount"] {
                count
            } else {
                0
            }
        }
        #expect(try await eventually { try successes() >= 4 })
        replicas[0].program.process.kill()
        #expect(try await eventually { try successes() >= 10 })
        #expect(try replicas[1].request("POST", "/api/jobs/\(id)/cancel").status == 200)
        let queue = try replicas[1].request("GET", "/api/queues").json
        // What the dead one had, if anything, runs elsewhere when its lease is over.
        #expect(
            try await eventually {
                guard case .array(let queues)? = try replicas[1].request("GET", "/api/queues").json else {
                    return false
                }
                return queues[0]["running"] == .int(0) && queues[0]["ready"] == .int(0)
            }, "\(queue?.text() ?? "")")
        try redis.redis("ECHO", "monitored-enough")
        var lines: [String] = []
        while let line = try? monitor.readReply().text, !line.contains("monitored-enough") { lines.append(line) }
        let slots = Slots(lines)
        #expect(slots.runs.count >= 10)
        #expect(
            slots.runs.map(\.slotMs) == (0..<slots.runs.count).map { firstMs + 1000 * $0 }, "each slot once, in order")
        for run in slots.runs { #expect(slots.completed[run.job] == 1, "slot \(run.slotMs)") }
        for replica in replicas[1...] { #expect(try await replica.program.terminate() == 0) }
    }

    // MARK: What a dead worker held

    @Test func whatAKilledWorkerHeldIsFreeAgain() async throws {
        let redis = try RedisServer()
        let api = try await JobPromiseFleetTests.api(redis)
        #expect(try api.request("PUT", "/api/resources", body: #"{"cpu":100}"#).status == 200)
        let first = try await JobPromiseFleetTests.worker(redis)
        let body =
            #"{"name":"a","type":"simulated","unique":{"key":"nightly"},"resources":{"cpu":60},"conflict":{"name":"db"},"config":{"durationMs":1000}}"#
        let id = try JobPromiseFleetTests.create(api, body)
        #expect(try await eventually { try JobPromiseFleetTests.word(api, id) == "running" })
        first.program.process.kill()
        func used() throws -> JSONValue? { try api.request("GET", "/api/resources").json?["cpu"]?["used"] }
        #expect(try used() == .int(60))
        let second = try api.request("POST", "/api/jobs", body: body)
        #expect(second.status == 200 && second.json?["id"] == .string(id))
        // Nobody works: it is the upkeep of the service that notices.
        #expect(try await eventually { try used() == .int(0) })
        #expect(try JobPromiseFleetTests.word(api, id) == "pending")
        let worker = try await JobPromiseFleetTests.worker(redis)
        #expect(try await eventually { try JobPromiseFleetTests.word(api, id) == "completed" })
        let next = try JobPromiseFleetTests.create(api, body)
        #expect(next != id)
        #expect(try await eventually { try JobPromiseFleetTests.word(api, next) == "completed" })
        #expect(try used() == .int(0))
        #expect(try await worker.program.terminate() == 0)
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}

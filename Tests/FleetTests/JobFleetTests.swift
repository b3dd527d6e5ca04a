import JSON
import TestSupport
import Testing

/// Jobs on real worker processes, some of which die.
@Suite struct JobFleetTests {
    private static func api(_ redis: RedisServer) async throws -> Replica {
        try await Replica(["serve", "--redis", redis.url, "--services", "jobs", "--loops", "1"])
    }

    private static func worker(_ redis: RedisServer, _ arguments: String...) async throws -> Replica {
        try await Replica(["work", "--redis", redis.workerURL] + arguments)
    }

    private static func enqueue(_ api: Replica, _ count: Int, durationMs: Int) throws {
        for start in stride(from: 0, to: count, by: 500) {
            let jobs = (start..<min(start + 500, count)).map {
                #"{"name":"j\#($0)","type":"simulated","config":{"durationMs":\#(durationMs)}}"#
            }
            let answer = try api.request(
                "POST", "/api/jobs/bulk", body: #"{"jobs":[\#(jobs.joined(separator: ","))]}"#)
            guard answer.status == 201 else { throw SetUpFailure("no jobs: \(answer.text)") }
        }
    }

    private static func queue(_ api: Replica) throws -> JSONValue {
        guard case .array(let queues)? = try api.request("GET", "/api/queues").json, let queue = queues.first else {
            throw SetUpFailure("no queue")
        }
        return queue
    }

    private static func total(_ api: Replica, _ name: String) throws -> Int {
        if case .int(let count)? = try queue(api)["totals"]?[name] { count } else { 0 }
    }

    private static func running(_ api: Replica) throws -> Int {
        if case .int(let count)? = try queue(api)["running"] { count } else { 0 }
    }

    @Test func aKilledWorkersJobsRunElsewhere() async throws {
        let redis = try RedisServer()
        let api = try await JobFleetTests.api(redis)
        var workers: [Replica] = []
        for _ in 0..<4 {
            workers.append(try await JobFleetTests.worker(redis, "--loops", "1", "--concurrency", "10"))
        }
        try JobFleetTests.enqueue(api, 1000, durationMs: 100)
        #expect(try await eventually { try JobFleetTests.total(api, "completed") >= 300 })
        workers[0].program.process.kill()
        #expect(try await eventually { try JobFleetTests.total(api, "completed") == 1000 })
        let lost = try JobFleetTests.total(api, "lost")
        #expect(lost <= 10)
        #expect(try JobFleetTests.total(api, "retried") == 0)
        guard case .array(let jobs)? = try api.request("GET", "/api/jobs?status=completed&limit=1000").json else {
            throw SetUpFailure("no list")
        }
        #expect(jobs.count == 1000)
        #expect(jobs.allSatisfy { $0["attempt"] == .int(1) }, "a lost lease is not an attempt")
        for worker in workers[1...] { #expect(try await worker.program.terminate() == 0) }
    }

    @Test func aWorkerThatIsAskedToEndHandsItsJobsBackAtOnce() async throws {
        let redis = try RedisServer()
        let api = try await JobFleetTests.api(redis)
        let worker = try await JobFleetTests.worker(redis, "--loops", "2", "--concurrency", "8", "--work-grace", "100")
        try JobFleetTests.enqueue(api, 8, durationMs: 3_600_000)
        #expect(try await eventually { try JobFleetTests.running(api) == 8 })
        #expect(try await worker.program.terminate() == 0)
        #expect(try JobFleetTests.running(api) == 0)
        #expect(try JobFleetTests.total(api, "lost") == 0)
        guard case .array(let jobs)? = try api.request("GET", "/api/jobs?status=pending").json else {
            throw SetUpFailure("no list")
        }
        #expect(jobs.count == 8 && jobs.allSatisfy { $0["attempt"] == .int(0) })
    }

    @Test func whatWasAcknowledgedSurvivesTheEndOfRedis() async throws {
        let redis = try RedisServer(options: .init(isPersistent: true))
        let api = try await JobFleetTests.api(redis)
        let worker = try await JobFleetTests.worker(redis, "--loops", "1", "--concurrency", "10")
        try JobFleetTests.enqueue(api, 300, durationMs: 20)
        #expect(try await eventually { try JobFleetTests.total(api, "completed") >= 50 })
        try redis.restart()
        #expect(
            await eventually { (try? JobFleetTests.total(api, "completed")) == 300 })
        #expect(try JobFleetTests.total(api, "lost") == 0)
        #expect(try await worker.program.terminate() == 0)
    }

    @Test func anOutageOfRedisRunsNothingTwice() async throws {
        let redis = try RedisServer()
        let api = try await JobFleetTests.api(redis)
        let workers = [
            try await JobFleetTests.worker(redis, "--loops", "1", "--concurrency", "25"),
            try await JobFleetTests.worker(redis, "--loops", "1", "--concurrency", "25"),
        ]
        try JobFleetTests.enqueue(api, 50, durationMs: 18_000)
        #expect(try await eventually { try JobFleetTests.running(api) == 50 })
        redis.pause()
        // The length of the outage is what this is about: longer than a lease.
        try await Task.sleep(nanoseconds: 16_000_000_000)
        redis.resume()
        #expect(await eventually { (try? JobFleetTests.total(api, "completed")) == 50 })
        #expect(try JobFleetTests.total(api, "lost") == 0)
        guard case .array(let jobs)? = try api.request("GET", "/api/jobs?status=completed").json else {
            throw SetUpFailure("no list")
        }
        #expect(jobs.count == 50 && jobs.allSatisfy { $0["runCount"] == .int(1) })
        for worker in workers { #expect(try await worker.program.terminate() == 0) }
    }

    @Test func anIdleWorkerIsQuiet() async throws {
        let redis = try RedisServer()
        let api = try await JobFleetTests.api(redis)
        try JobFleetTests.enqueue(api, 1, durationMs: 0)
        let worker = try await JobFleetTests.worker(redis, "--loops", "4", "--concurrency", "40")
        #expect(try await eventually { try JobFleetTests.total(api, "completed") == 1 })
        #expect(try await api.program.terminate() == 0)
        let monitor = try redis.connect()
        _ = try monitor.exchange(["MONITOR"])
        // A rate needs a time in which it is counted.
        try await Task.sleep(nanoseconds: 10_000_000_000)
        try redis.redis("ECHO", "the end")
        var commands: [String] = []
        while let line = try? monitor.readReply().text, !line.contains("the end") {
            if !line.contains(" lua]") { commands.append(line) }
        }
        #expect(commands.count < 20, "in ten seconds: \(commands.joined(separator: "\n"))")
        #expect(try await worker.program.terminate() == 0)
    }
}

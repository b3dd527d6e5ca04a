import JSON
import TestSupport
import Testing

/// Leases that wait: woken when there is work, and never given any when nobody is there to take it.
struct WaitingWorkerTests {
    private func makeServer(_ redis: RedisServer? = nil, queues: [String] = ["default"], loops: Int = 1) throws
        -> JobServer
    {
        let server = try JobServer(redis, works: false, loops: loops)
        for queue in queues {
            let answer = try server.send("PUT", "/api/job-types/resize?queue=\(queue)", #"{"external":true}"#)
            #expect(answer.status == 200)
        }
        return server
    }

    private static func body(_ worker: String, _ rest: String) -> String {
        #"{"worker":"\#(worker)","types":["resize"],\#(rest)}"#
    }

    private func poll(_ server: JobServer, _ worker: String, _ rest: String) throws -> HTTPConnection {
        let connection = try server.server.connect()
        let body = WaitingWorkerTests.body(worker, rest)
        try connection.send([HTTPConnection.encode("POST", "/api/workers/lease", body: body)])
        return connection
    }

    private func jobs(_ connection: HTTPConnection) throws -> [String] {
        (try connection.receive().json?["executions"]?.elements ?? []).compactMap { $0["jobId"]?.text }
    }

    /// The connection is closed as soon as the poll is sent, or when it waits.
    @Test func aPollWhoseClientHasLeftTakesNoJob() throws {
        let server = try makeServer()
        for round in 0..<20 {
            _ = try poll(server, "gone", #""waitMs":20000,"max":5"#)
            let id = try server.create(#"{"name":"\#(round)","type":"resize"}"#)
            if round % 2 == 0 { _ = try poll(server, "gone", #""waitMs":20000,"max":5"#) }
            let answer = try server.send(
                "POST", "/api/workers/lease", WaitingWorkerTests.body("here", #""waitMs":20000"#))
            let execution = answer.json?["executions"]?.elements.first
            #expect(execution?["jobId"]?.text == id && execution?["attempt"]?.number == 1)
            let item = #"{"executionId":"\#(execution?["executionId"]?.text ?? "")","outcome":"completed"}"#
            let end = try server.send("POST", "/api/workers/finish", #"{"worker":"here","items":[\#(item)]}"#)
            #expect(end.status == 200)
        }
    }

    @Test func eachOfManyIsWokenForOneJob() throws {
        let queues = (0..<5).map { "q\($0)" }
        let server = try makeServer(queues: queues, loops: 2)
        let list = queues.map { "\"\($0)\"" }.joined(separator: ",")
        let polls = try (0..<20).map { try poll(server, "w\($0)", #""queues":[\#(list)],"waitMs":30000"#) }
        let made = try (0..<20).map {
            try server.create(#"{"name":"a","type":"resize","queue":"q\#($0 % 5)"}"#)
        }
        var taken: [String] = []
        for poll in polls { taken += try jobs(poll) }
        #expect(taken.sorted() == made.sorted())
    }

    @Test func aCallWithANumberWaitsAndIsAnsweredAgain() throws {
        let server = try makeServer()
        for call in 1...3 {
            let waiting = try poll(server, "w", #""call":\#(call),"waitMs":20000"#)
            let id = try server.create(#"{"name":"a","type":"resize"}"#)
            #expect(try jobs(waiting) == [id])
            let again = try poll(server, "w", #""call":\#(call),"waitMs":20000"#)
            #expect(try jobs(again) == [id])
        }
    }

    @Test func withoutQueuesAllAreServed() throws {
        let server = try makeServer(queues: ["known"])
        let waiting = try poll(server, "w", #""waitMs":20000"#)
        #expect(try server.send("PUT", "/api/job-types/resize?queue=new", #"{"external":true}"#).status == 200)
        let id = try server.create(#"{"name":"a","type":"resize","queue":"new"}"#)
        #expect(try jobs(waiting) == [id])
        let other = try server.create(#"{"name":"a","type":"resize","queue":"known"}"#)
        #expect(try jobs(poll(server, "w", #""max":5"#)) == [other])
    }

    @Test func whoWaitsIsListed() async throws {
        let server = try makeServer()
        let waiting = try poll(server, "patient", #""waitMs":30000"#)
        let isListed = try await eventually {
            let workers = try server.send("GET", "/api/workers").json?.elements ?? []
            return workers.contains { $0["id"]?.text == "patient" && $0["types"]?.elements.first?.text == "resize" }
        }
        #expect(isListed)
        withExtendedLifetime(waiting) {}
    }

    /// What waits costs Redis next to nothing: markers tell, nobody asks.
    @Test func idleWorkersCostNextToNothing() async throws {
        let redis = try RedisServer()
        let queues = (0..<5).map { "q\($0)" }
        let server = try makeServer(redis, queues: queues)
        let list = queues.map { "\"\($0)\"" }.joined(separator: ",")
        func pollAll() throws -> [HTTPConnection] {
            try (0..<50).map { try poll(server, "w\($0)", #""queues":[\#(list)],"waitMs":1500"#) }
        }
        func figures() throws -> (commands: Int, atMs: Int) {
            let line = try redis.redis("INFO", "stats").split(whereSeparator: \.isNewline)
                .first { $0.hasPrefix("total_commands_processed:") }
            let commands = line?.split(separator: ":").last.flatMap { Int($0) }
            let time = try redis.connect().command(["TIME"]).elements.compactMap { Int($0.text) }
            return (try #require(commands), time[0] * 1000 + time[1] / 1000)
        }
        for poll in try pollAll() { #expect(try jobs(poll).isEmpty) }
        let before = try figures()
        var after = before
        while after.atMs - before.atMs < 10_000 {
            for poll in try pollAll() { #expect(try jobs(poll).isEmpty) }
            after = try figures()
        }
        let rate = (after.commands - before.commands) * 1000 / (after.atMs - before.atMs)
        #expect(rate < 50, "\(rate) commands a second")
        let waiting = try pollAll()
        let id = try server.create(#"{"name":"a","type":"resize","queue":"q3"}"#)
        #expect(try waiting.flatMap { try jobs($0) } == [id])
    }
}

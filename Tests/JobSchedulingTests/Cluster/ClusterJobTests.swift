import JSON
import TestSupport
import Testing

/// Jobs on a real cluster, as users see them.
@Suite(.serialized) struct ClusterJobTests {
    private let cluster: RedisCluster
    private let prefix = "t0:"

    init() throws { cluster = try RedisCluster(masters: 3) }

    private func server(works: Bool = true, settings: [String: String] = [:]) throws -> JobServer {
        try JobServer(url: cluster.url, prefix: prefix, works: works, settings: settings)
    }

    private func owner(_ queue: String) throws -> RedisServer {
        try cluster.owner(ofSlot: try cluster.slot(of: "\(prefix)jobs:{\(queue)}:"))
    }

    /// Names of queues, as many on each node.
    private func queues(perNode count: Int) throws -> [String] {
        var byNode: [Int: [String]] = [:]
        for name in (0..<200).map({ "q\($0)" }) {
            let port = try owner(name).port!
            if byNode[port, default: []].count < count { byNode[port, default: []].append(name) }
            if byNode.values.map(\.count) == [count, count, count] { break }
        }
        return byNode.values.flatMap { $0 }.sorted()
    }

    @Test func jobsOfManyQueuesRunOnceEach() async throws {
        let queues = try queues(perNode: 2)
        #expect(queues.count == 6)
        let servers = try [server(), server()]
        var ids: [String] = []
        var expected: [String: Int] = [:]
        for (i, queue) in queues.enumerated() {
            func job(_ name: String, _ more: String = "") -> String {
                #"{"name":"\#(name)","type":"simulated","queue":"\#(queue)"\#(more)}"#
            }
            let jobs =
                (0..<10).map { job("plain\($0)") } + [
                    job("first"), job("second", #","dependencies":["first"]"#),
                    job("cached", #","cache":{"forMs":"1h"},"config":{"result":1}"#),
                    job("same", #","cache":{"forMs":"1h"},"config":{"result":1}"#),
                    job("named", #","conflict":{"name":"n"}"#), job("alike", #","conflict":{"name":"n"}"#),
                ]
            ids += try servers[i % 2].createAll(jobs)
            let later = job("later", #","unique":{"key":"k"},"runAt":"2020-01-01T00:00:00Z""#)
            ids.append(try servers[i % 2].create(later))
            let batch = #"{"name":"b","jobs":[\#(job("x")),\#(job("y"))],"callback":\#(job("z"))}"#
            let key = [("Idempotency-Key", "batch of \(queue)")]
            let made = try servers[i % 2].send("POST", "/api/batches", batch, headers: key)
            #expect(made.status == 201, "\(made.text)")
            #expect(try servers[1 - i % 2].send("POST", "/api/batches", batch, headers: key).status == 201)
            expected[queue] = jobs.count + 1 + 3
        }
        let schedule = #"{"name":"tick","type":"simulated","queue":"\#(queues[0])","schedule":"@every 1s"}"#
        let tick = try servers[0].create(schedule)
        // The same key for a job of another queue, which another node has.
        let other = [("Idempotency-Key", "one")]
        func keyed(_ queue: String) -> String { #"{"name":"k","type":"simulated","queue":"\#(queue)","manual":true}"# }
        #expect(try servers[0].send("POST", "/api/jobs", keyed(queues[0]), headers: other).status == 201)
        #expect(try servers[1].send("POST", "/api/jobs", keyed(queues[5]), headers: other).status == 422)
        for (queue, count) in expected where queue != queues[0] {
            let isThere = try await eventually {
                try servers[0].figures(queue)["totals"]?["completed"]?.number == count
            }
            let figures = try servers[0].figures(queue).text()
            #expect(isThere, "\(queue): \(figures), not \(count)")
        }
        #expect(try await eventually { try servers[1].job(tick)["successCount"]?.number ?? 0 >= 2 })
        for id in ids {
            try await servers[0].awaits(id, "completed")
            let isCached = try servers[0].job(id)["fromCache"]?.flag == true
            #expect(try servers[0].history(id).count == (isCached ? 0 : 1), "\(id)")
        }
        for path in ["/api/jobs?limit=1000", "/api/queues", "/api/workers", "/api/dead"] {
            let answer = try servers[1].send("GET", path)
            #expect(answer.status == 200 && !answer.json!.elements.isEmpty == (path != "/api/dead"), "\(path)")
        }
        try audit(queues)
    }

    /// No key lies in another slot than its tag says, and no command was refused for that.
    private func audit(_ queues: [String]) throws {
        for node in cluster.masters {
            let errors = try node.redis("INFO", "errorstats")
            #expect(!errors.contains("CROSSSLOT"), "\(errors)")
        }
    }

    @Test func everyQueueHasItsOwnWait() async throws {
        let queues = try queues(perNode: 2)
        let server = try server()
        for queue in queues { try server.create(#"{"name":"a","type":"simulated","queue":"\#(queue)"}"#) }
        for node in cluster.masters {
            #expect(
                try await eventually {
                    let clients = try node.redis("CLIENT", "LIST").split(whereSeparator: \.isNewline)
                    return clients.count { $0.contains(" flags=b ") && $0.contains(" cmd=blpop ") } == 2
                })
        }
    }

    @Test func aQueueOnTheMoveHoldsUpNoOther() async throws {
        let queues = try queues(perNode: 1)
        let (moving, other) = (queues[0], queues[1])
        let server = try server(settings: ["concurrency": "1"])
        func job(_ queue: String, _ config: String = "{}") -> String {
            #"{"name":"a","type":"simulated","queue":"\#(queue)","config":\#(config)}"#
        }
        for queue in queues { try await server.awaits(try server.create(job(queue)), "completed") }
        // Long enough to be seen running on a busy machine; it ends while its queue is on the move.
        let long = try server.create(job(moving, #"{"durationMs":8000}"#))
        let waiting = try server.create(job(moving))
        try await server.awaits(long, "running")
        let slot = try cluster.slot(of: "\(prefix)jobs:{\(moving)}:")
        let source = try cluster.owner(ofSlot: slot)
        let target = try #require(cluster.masters.first { $0 !== source })
        try cluster.beginMove(ofSlot: slot, to: target)
        try cluster.moveKeys(ofSlot: slot, to: target, most: try cluster.keys(ofSlot: slot, on: source).count / 2)
        let refused = try server.send("POST", "/api/jobs", job(moving))
        #expect(refused.status == 503 && refused.header("retry-after") != nil, "\(refused.text)")
        #expect(refused.json?["type"]?.text == "/problems/unavailable")
        // The worker has one slot. When the long job ends, the worker says so and asks for the next one, which waits for the
        // queue; the slot is the other queue's meanwhile.
        let stuck = try server.server.connect()
        try stuck.send([HTTPConnection.encode("POST", "/api/jobs", body: job(moving))])
        for _ in 0..<5 { try await server.awaits(try server.create(job(other)), "completed") }
        #expect(try stuck.receive().status == 503)
        try await server.awaits(try server.create(job(other)), "completed")
        try cluster.moveKeys(ofSlot: slot, to: target)
        try cluster.endMove(ofSlot: slot, to: target)
        for id in [long, waiting] {
            try await server.awaits(id, "completed")
            #expect(try server.history(id).filter { $0["status"]?.text != "released" }.count == 1)
        }
        #expect(try server.figures(moving)["totals"]?["completed"]?.number == 3)
        try await server.awaits(try server.create(job(moving)), "completed")
    }
}

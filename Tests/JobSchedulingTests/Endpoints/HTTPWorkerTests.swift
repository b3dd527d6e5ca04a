import JSON
import TestSupport
import Testing

/// Workers in other languages: lease, heartbeat, finish.
struct HTTPWorkerTests {
    private func lease(_ server: JobServer, _ max: Int = 1, waitMs: Int = 0) throws -> [JSONValue] {
        let body = #"{"worker":"py-1","types":["resize"],"max":\#(max),"waitMs":\#(waitMs)}"#
        return try server.send("POST", "/api/workers/lease", body).json?["executions"]?.elements ?? []
    }

    private func finish(_ server: JobServer, _ execution: JSONValue, _ rest: String) throws -> HTTPAnswer {
        let id = execution["executionId"]?.text ?? ""
        return try server.send(
            "POST", "/api/workers/finish", #"{"worker":"py-1","items":[{"executionId":"\#(id)",\#(rest)}]}"#)
    }

    private func makeServer() throws -> JobServer {
        let server = try JobServer(works: false)
        #expect(try server.send("PUT", "/api/job-types/resize", #"{"external":true}"#).status == 200)
        return server
    }

    @Test func aTypeIsTakenOnceItIsKnownToBeExternal() async throws {
        let server = try JobServer(works: false)
        let body = #"{"name":"a","type":"resize","config":{"any":"thing"}}"#
        #expect(try server.send("POST", "/api/jobs", body).status == 422)
        #expect(try server.send("PUT", "/api/job-types/resize", #"{"external":true}"#).status == 200)
        let id = try server.create(body)
        let execution = try #require(try lease(server).first)
        #expect(execution["jobId"]?.text == id && execution["attempt"]?.number == 1)
        #expect(execution["config"]?["any"]?.text == "thing")
        #expect(try lease(server).isEmpty)
        #expect(try finish(server, execution, #""outcome":"completed","result":{"w":3}"#).status == 200)
        #expect(try server.status(id) == "completed")
        #expect(try server.send("GET", "/api/jobs/\(id)/result").json?["result"]?["w"]?.number == 3)
        // The reply may have been lost.
        #expect(try finish(server, execution, #""outcome":"completed","result":{"w":3}"#).status == 200)
        #expect(try server.status(id) == "completed")
    }

    @Test func whoHasLostTheLeaseChangesNothing() async throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"resize"}"#)
        let first = try #require(try lease(server).first)
        #expect(try finish(server, first, #""outcome":"released""#).status == 200)
        let second = try #require(try lease(server).first)
        #expect(second["token"]?.number ?? 0 > first["token"]?.number ?? 0)
        #expect(second["attempt"]?.number == 1, "a job that was handed back has used up no attempt")
        let stale = try finish(server, first, #""outcome":"completed""#)
        #expect(stale.status == 409)
        #expect(try server.status(id) == "running")
        #expect(try finish(server, second, #""outcome":"failed","error":"no","permanent":true"#).status == 200)
        #expect(try server.status(id) == "failed")
    }

    @Test func heartbeatsTellOfACancel() async throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"resize"}"#)
        let execution = try #require(try lease(server).first)
        let item = #"{"executionId":"\#(execution["executionId"]?.text ?? "")","progress":{"percent":40}}"#
        let body = #"{"worker":"py-1","items":[\#(item)],"waitMs":20000}"#
        let calm = try server.send(
            "POST", "/api/workers/heartbeat", #"{"worker":"py-1","items":[\#(item)]}"#)
        #expect(calm.json?["items"]?.elements.first?["ok"]?.flag == true)
        #expect(try server.job(id)["progress"]?["percent"]?.number == 40)
        // On one thread: another one may come too late on a busy machine, when the lease is over.
        let waiting = try server.server.connect()
        try waiting.send([HTTPConnection.encode("POST", "/api/workers/heartbeat", body: body)])
        #expect(try server.send("POST", "/api/jobs/\(id)/cancel").status == 202)
        #expect(try waiting.receive().json?["items"]?.elements.first?["cancel"]?.flag == true)
        #expect(try finish(server, execution, #""outcome":"cancelled""#).status == 200)
        #expect(try server.status(id) == "cancelled")
    }

    @Test func aLeaseWaitsForWork() async throws {
        let server = try makeServer()
        let waiting = try server.server.connect()
        let body = #"{"worker":"py-1","types":["resize"],"max":1,"waitMs":20000}"#
        try waiting.send([HTTPConnection.encode("POST", "/api/workers/lease", body: body)])
        let id = try server.create(#"{"name":"a","type":"resize"}"#)
        #expect(try waiting.receive().json?["executions"]?.elements.first?["jobId"]?.text == id)
    }

    @Test func finishAndLeaseInOneCall() async throws {
        let server = try makeServer()
        let ids = try server.createAll((0..<2).map { #"{"name":"\#($0)","type":"resize"}"# })
        let first = try #require(try lease(server).first)
        let body =
            #"{"worker":"py-1","items":[{"executionId":"\#(first["executionId"]?.text ?? "")","outcome":"completed"}],"lease":{"types":["resize"]}}"#
        let answer = try server.send("POST", "/api/workers/finish", body)
        #expect(answer.json?["items"]?.elements.first?["ok"]?.flag == true)
        #expect(answer.json?["executions"]?.elements.first?["jobId"]?.text == ids[1])
    }

    @Test func badCallsNameTheField() throws {
        let server = try makeServer()
        let calls: [(String, String, String)] = [
            ("lease", #"{"types":["a"]}"#, "worker"), ("lease", #"{"worker":"a b","types":["a"]}"#, "worker"),
            ("lease", #"{"worker":"a"}"#, "types"), ("lease", #"{"worker":"a","types":["a"],"max":0}"#, "max"),
            ("heartbeat", #"{"worker":"a"}"#, "items"),
            ("finish", #"{"worker":"a","items":[{"executionId":"x","outcome":"completed"}]}"#, "items[0].executionId"),
            (
                "finish", #"{"worker":"a","items":[{"executionId":"default-000000000001.1","outcome":"odd"}]}"#,
                "items[0].outcome"
            ),
        ]
        for (route, body, field) in calls {
            let answer = try server.send("POST", "/api/workers/\(route)", body)
            #expect(answer.status == 400 && answer.json?["field"]?.text == field, "\(body): \(answer.text)")
        }
    }
}

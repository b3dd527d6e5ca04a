import JSON
import TestSupport
import Testing

/// Ends that are reported over HTTP: once, again, and otherwise.
struct WorkerEndTests {
    private func makeServer() throws -> JobServer {
        let server = try JobServer(works: false)
        #expect(try server.send("PUT", "/api/job-types/resize", #"{"external":true}"#).status == 200)
        return server
    }

    private func lease(_ server: JobServer) throws -> JSONValue {
        let answer = try server.send("POST", "/api/workers/lease", #"{"worker":"py","types":["resize"]}"#)
        return try #require(answer.json?["executions"]?.elements.first)
    }

    private func finish(_ server: JobServer, _ execution: JSONValue, _ rest: String) throws -> Int {
        let item = #"{"executionId":"\#(execution["executionId"]?.text ?? "")",\#(rest)}"#
        return try server.send("POST", "/api/workers/finish", #"{"worker":"py","items":[\#(item)]}"#).status
    }

    private static let completed = #""outcome":"completed","result":1"#
    private static let failed = #""outcome":"failed","error":"e""#
    private static let permanent = failed + #","permanent":true"#
    private static let timeout = #""outcome":"timeout""#
    private static let cancelled = #""outcome":"cancelled""#
    private static let released = #""outcome":"released""#

    /// An end whose reply was lost is accepted again. Another one would be lost, so it is refused, and changes nothing.
    @Test(arguments: [
        (completed, "completed", [failed, permanent, timeout, cancelled, released]),
        (failed, "retrying", [completed, timeout, cancelled, released]),
        (permanent, "failed", [completed, timeout, cancelled, released]), (timeout, "timeout", [completed, failed]),
        (released, "pending", [completed, failed, timeout]),
    ]) func onlyTheAcceptedEndIsAcceptedAgain(_ end: String, _ status: String, _ others: [String]) throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"resize"}"#)
        let execution = try lease(server)
        #expect(try finish(server, execution, end) == 200)
        for other in others { #expect(try finish(server, execution, other) == 409, "\(other) after \(end)") }
        #expect(try finish(server, execution, end) == 200)
        #expect(try server.status(id) == status)
    }

    @Test func theResultOfACancelledJobIsNotAcceptedAfterItsEnd() throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"resize"}"#)
        let execution = try lease(server)
        #expect(try server.send("POST", "/api/jobs/\(id)/cancel").status == 202)
        #expect(try finish(server, execution, WorkerEndTests.cancelled) == 200)
        #expect(try finish(server, execution, WorkerEndTests.cancelled) == 200)
        #expect(try finish(server, execution, WorkerEndTests.completed) == 409)
        #expect(try server.status(id) == "cancelled")
    }

    /// A failure that cannot be told would be taken for a worker's death.
    @Test func everyErrorIsAccepted() throws {
        let server = try makeServer()
        let traceback = #"Traceback (most recent call last):\n\tFile \"a.py\", line 1\nValueError: no"#
        let long = String(repeating: "at line 7\\n", count: 500) + "the last"
        for (error, end) in [
            ("\"\(traceback)\"", "ValueError: no"), ("\"\(long)\"", "the last"), (#""""#, "failed without a word"),
            ("null", "failed without a word"), (#"{"code":7}"#, #"{"code":7}"#), (#""\u0000\u001b[31mred""#, "[31mred"),
        ] {
            let id = try server.create(#"{"name":"a","type":"resize"}"#)
            let status = try finish(
                server, try lease(server), #""outcome":"failed","permanent":true,"error":\#(error)"#)
            #expect(status == 200, "\(error)")
            let text = try server.job(id)["error"]?.text ?? ""
            #expect(text.hasSuffix(end) && text.utf8.count <= 1000, "\(text)")
        }
    }
}

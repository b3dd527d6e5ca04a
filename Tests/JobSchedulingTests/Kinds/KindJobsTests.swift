import JSON
import JobScheduling
import TestSupport
import Testing

/// Kinds as jobs of a server with a worker: refused when they are created, run, with their results.
struct KindJobsTests {
    private static func result(_ server: JobServer, _ type: String, _ config: String) async throws -> JSONValue? {
        let id = try server.create(#"{"name":"a","type":"\#(type)","config":\#(config),"retries":0}"#)
        try await server.awaits(id, "completed")
        return try server.send("GET", "/api/jobs/\(id)/result").json?["result"]
    }

    @Test func whatIsOffIsRefusedWhenItIsCreated() throws {
        let server = try JobServer(works: false)
        for (type, config, field) in [
            ("command", #"{"program":"a"}"#, "config.program"),
            ("file_cleanup", #"{"path":"a","olderThanMs":0}"#, "config.path"),
            ("data_processing", #"{"file":"a"}"#, "config.file"), ("simulated", #"{"crash":true}"#, "config.crash"),
            ("report_generation", #"{"report":"stock"}"#, "config.report"),
        ] {
            let answer = try server.send("POST", "/api/jobs", #"{"name":"a","type":"\#(type)","config":\#(config)}"#)
            #expect(answer.status == 422 && answer.json?["field"]?.text == field, "\(answer.text)")
        }
    }

    @Test func theyRunAndKeepTheirResults() async throws {
        let folder = try FileFolder()
        try folder.program("greet", "echo hello $QM_ATTEMPT")
        try folder.write("rows", "{\"a\":1}\n{\"a\":2}\n")
        let server = try JobServer(settings: [
            "command-directory": folder.path, "cleanup-root": folder.path, "data-root": folder.path,
        ])
        let command = try await KindJobsTests.result(server, "command", #"{"program":"greet"}"#)
        #expect(command?["stdout"]?.text == "hello 1\n")
        let data = try await KindJobsTests.result(
            server, "data_processing", #"{"file":"rows","steps":[{"aggregate":{"sum":["a"]}}]}"#)
        #expect(try data?["rows"] == JSONValue(#"[{"sum_a":3}]"#))
        let cleanup = try await KindJobsTests.result(
            server, "file_cleanup", #"{"path":".","olderThanMs":0,"pattern":"row?"}"#)
        #expect(try cleanup?["names"] == JSONValue(#"["rows"]"#))
        #expect(!folder.has("rows") && folder.has("greet"))
    }

    @Test func theReportOfTheQueuesHasTheirFigures() async throws {
        let server = try JobServer()
        _ = try await KindJobsTests.result(server, "simulated", "{}")
        let report = try await KindJobsTests.result(server, "report_generation", #"{"report":"queues"}"#)
        let rows = try JSONValue(try #require(report?["text"]?.text))["sections"]?["queues"]?.elements
        #expect(rows?.count == 1 && rows?[0]["queue"]?.text == "default")
        #expect(rows?[0]["total_completed"] == .int(1) && rows?[0]["running"] == .int(1))
    }

    @Test func aCommandIsEndedByItsTimeout() async throws {
        let folder = try FileFolder()
        try folder.program("endless", "exec sleep 600")
        let server = try JobServer(settings: ["command-directory": folder.path])
        let id = try server.create(
            #"{"name":"a","type":"command","config":{"program":"endless"},"timeout":200,"retries":0}"#)
        try await server.awaits(id, "timeout")
    }
}

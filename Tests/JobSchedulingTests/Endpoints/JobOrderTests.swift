import JSON
import TestSupport
import Testing

/// Which job starts first.
struct JobOrderTests {
    /// The names of ended jobs in the order in which they were started, by their tokens.
    private func order(_ server: JobServer, _ ids: [String]) throws -> [String] {
        try ids.map { try server.job($0) }
            .sorted { ($0["startedAt"]?.timeMs ?? 0, token($0)) < ($1["startedAt"]?.timeMs ?? 0, token($1)) }
            .compactMap { $0["name"]?.text }
    }

    private func token(_ job: JSONValue) -> Int {
        job["name"]?.text.flatMap { Int($0.split(separator: " ").last ?? "") } ?? 0
    }

    @Test func priorityThenFirstComeFirstServed() async throws {
        let server = try JobServer(settings: ["concurrency": "1"])
        try server.create(#"{"name":"first","type":"simulated"}"#)
        try server.pause()
        var jobs: [String] = []
        for i in 0..<10 {
            for priority in ["low", "normal", "high", "critical"] {
                jobs.append(#"{"name":"\#(priority) \#(i)","type":"simulated","priority":"\#(priority)"}"#)
            }
        }
        let ids = try server.createAll(jobs)
        try server.resume()
        for id in ids { try await server.awaits(id, "completed") }
        // One slot: each execution's token is larger than the one before.
        let started = try ids.map { id in
            let entry = try #require(try server.history(id).last?["executionId"]?.text)
            return (try #require(try server.job(id)["name"]?.text), Int(entry.split(separator: ".").last ?? "") ?? 0)
        }.sorted { $0.1 < $1.1 }.map(\.0)
        let expected = ["critical", "high", "normal", "low"].flatMap { priority in (0..<10).map { "\(priority) \($0)" }
        }
        #expect(started == expected)
    }

    @Test func aPausedQueueStartsNothing() async throws {
        let server = try JobServer()
        let first = try server.create(#"{"name":"a","type":"simulated"}"#)
        try await server.awaits(first, "completed")
        try server.pause()
        #expect(try server.figures()["paused"]?.flag == true)
        let id = try server.create(#"{"name":"b","type":"simulated"}"#)
        let long = try server.create(#"{"name":"c","type":"simulated","runAt":"2020-01-01T00:00:00Z"}"#)
        #expect(try server.status(id) == "pending")
        try server.resume()
        try await server.awaits(id, "completed")
        try await server.awaits(long, "completed")
    }

    @Test func listsByStatusInPages() throws {
        let server = try JobServer(works: false)
        let ids = try server.createAll(
            (0..<25).map { #"{"name":"j\#($0)","type":"simulated"}"# })
        let manual = try server.create(#"{"name":"m","type":"simulated","manual":true}"#)
        var found: [String] = []
        var target: String? = "/api/jobs?limit=10"
        while let path = target {
            let answer = try server.send("GET", path)
            found += answer.json?.elements.compactMap { $0["id"]?.text } ?? []
            target = answer.header("link").map { String($0.dropFirst().prefix { $0 != ">" }) }
        }
        #expect(found == ids + [manual])
        let idle = try server.send("GET", "/api/jobs?status=idle").json?.elements.compactMap { $0["id"]?.text }
        #expect(idle == [manual])
        #expect(try server.send("GET", "/api/jobs?name=j7").json?.elements.compactMap { $0["id"]?.text } == [ids[7]])
        #expect(try server.send("GET", "/api/jobs?status=odd").status == 400)
    }
}

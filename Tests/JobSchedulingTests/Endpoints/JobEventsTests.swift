import JSON
import TestSupport
import Testing

struct JobEventsTests {
    /// Reads events until one says that a job was completed; the words said of that job, and the last id.
    private func follow(_ connection: HTTPConnection, _ job: String) throws -> (words: [String], lastID: String) {
        var words: [String] = []
        while true {
            let event = try connection.nextEvent()
            guard event.name == "change", event.json?["job"]?.text == job, let word = event.json?["event"]?.text else {
                continue
            }
            words.append(word)
            if word == "completed" { return (words, event.id) }
        }
    }

    @Test func eventsComeInOrderAndAreNotMissed() async throws {
        let server = try JobServer()
        let connection = try server.server.connect()
        #expect(try connection.subscribe("/api/jobs/events").status == 200)
        #expect(try connection.nextEvent().name == "snapshot")
        let first = try server.create(#"{"name":"a","type":"simulated"}"#)
        let seen = try follow(connection, first)
        #expect(seen.words == ["created", "started", "completed"])
        // While nobody listens.
        let second = try server.create(#"{"name":"b","type":"simulated"}"#)
        try await server.awaits(second, "completed")
        let resumed = try server.server.connect()
        #expect(try resumed.subscribe("/api/jobs/events", headers: [("Last-Event-ID", seen.lastID)]).status == 200)
        #expect(try follow(resumed, second).words == ["created", "started", "completed"])
    }

    @Test func aNewListenerHearsNothingOld() async throws {
        let server = try JobServer()
        let first = try server.create(#"{"name":"a","type":"simulated"}"#)
        try await server.awaits(first, "completed")
        let connection = try server.server.connect()
        #expect(try connection.subscribe("/api/jobs/events").status == 200)
        #expect(try connection.nextEvent().name == "snapshot")
        let second = try server.create(#"{"name":"b","type":"simulated"}"#)
        let event = try connection.nextEvent()
        #expect(event.json?["event"]?.text == "created" && event.json?["job"]?.text == second)
    }
}

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

    /// However many there are, they are sent as they are read, not some of them every 200 ms.
    @Test func manyEventsAreSentWithoutRests() throws {
        let redis = try RedisServer()
        let server = try JobServer(redis, works: false)
        try server.create(#"{"name":"a","type":"simulated"}"#)
        let key = server.server.prefix + "jobs:{default}:events"
        let connection = try server.server.connect()
        #expect(try connection.subscribe("/api/jobs/events").status == 200)
        #expect(try connection.nextEvent().name == "snapshot")
        let text = "for i = 1, 5000 do redis.call('XADD', KEYS[1], '*', 'created', string.format('%012d', i)) end"
        try redis.connect()("EVAL", text, "1", key)
        let looksBefore = try looks(redis)
        for i in 1...5000 {
            let event = try connection.nextEvent()
            #expect(
                event.name == "change"
                    && event.data.hasSuffix("-\(String(repeating: "0", count: 12 - "\(i)".count))\(i)\"}"))
        }
        #expect(try looks(redis) - looksBefore <= 30)
    }

    private func looks(_ redis: RedisServer) throws -> Int {
        let lines = try redis.redis("INFO", "commandstats").split(whereSeparator: \.isNewline)
        guard let line = lines.first(where: { $0.hasPrefix("cmdstat_xrange:") }) else { return 0 }
        return line.split(separator: "=").dropFirst().first.flatMap { Int($0.prefix { $0 != "," }) } ?? 0
    }

    @Test func whatIsGoneFromTheStreamIsToldAsAGap() throws {
        let redis = try RedisServer.shared
        let server = try JobServer(redis, works: false)
        let ids = try (0..<3).map { _ in try server.create(#"{"name":"a","type":"simulated"}"#) }
        let key = server.server.prefix + "jobs:{default}:events"
        let entries = try redis.connect()("XRANGE", key, "-", "+").elements.map { $0.elements[0].text }
        try redis.connect()("XTRIM", key, "MAXLEN", "=", "1")
        let resumed = try server.server.connect()
        let header = [("Last-Event-ID", entries[0] + "/1")]
        #expect(try resumed.subscribe("/api/jobs/events", headers: header).status == 200)
        #expect(try resumed.nextEvent().name == "snapshot")
        let gap = try resumed.nextEvent()
        #expect(gap.name == "gap" && gap.json?["after"]?.text == entries[0])
        #expect(try resumed.nextEvent().json?["job"]?.text == ids[2])
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

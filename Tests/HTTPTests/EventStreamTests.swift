import Bytes
import EventLoops
import Glibc
import HTTP
import Testing

@Suite struct EventStreamTests {
    /// A server with one list of subscribers, all of whom hear what `say` says.
    private final class Feed: @unchecked Sendable {
        // Unchecked because the list is used on the server's loop only.
        var subscribers: [EventStream] = []
        var quietUs: Int64 = 15_000_000
        var closed = 0
        private(set) var server: TestServer!

        init() throws {
            server = try TestServer { [weak self] router, _ in
                router.on(
                    .get, "/events",
                    .immediate { [weak self] exchange in
                        guard let self else { return }
                        let stream = EventStream(exchange, quietUs: quietUs)
                        stream.onClose = { [weak self] in self?.closed += 1 }
                        stream.event(id: "0", name: "snapshot", data: "{}")
                        subscribers.append(stream)
                    })
            }
        }

        func say(_ text: String, id: String) {
            server.onLoop { [self] _ in
                for subscriber in subscribers { subscriber.event(id: id, name: "change", data: text) }
            }
        }
    }

    @Test func eventsAreFramed() throws {
        let feed = try Feed()
        let client = try feed.server.connect()
        client.get("/events")
        while try !client.readLine().isEmpty {}
        func chunk() throws -> String {
            let size = try #require(Int(try client.readLine(), radix: 16))
            let text = try client.read(size)
            _ = try client.readLine()
            return text
        }
        #expect(try chunk() == "id: 0\nevent: snapshot\ndata: {}\n\n")
        feed.say("two\nlines", id: "7")
        #expect(try chunk() == "id: 7\nevent: change\ndata: two\ndata: lines\n\n")
        feed.say("a\r\nb\rc\n", id: "8\ndata: forged")
        #expect(try chunk() == "id: 8\nevent: change\ndata: a\ndata: b\ndata: c\ndata: \n\n")
    }

    @Test func aQuietStreamShowsThatItIsThere() throws {
        let feed = try Feed()
        feed.quietUs = 50000
        let client = try feed.server.connect()
        client.get("/events")
        while try !client.readLine().hasPrefix(": ") {}
    }

    /// One subscriber stops reading. It is cut off; the other misses nothing.
    @Test func aSubscriberThatDoesNotReadIsCutOff() throws {
        let feed = try Feed()
        let deaf = try feed.server.connect()
        deaf.get("/events")
        let good = try feed.server.connect()
        good.get("/events")
        #expect(eventually { feed.server.onLoop { _ in feed.subscribers.count } == 2 })
        let text = String(repeating: "x", count: 50000)
        let count = 400
        let heard = Events()
        let reading = Thread {
            var bytes = 0
            good.readOn(until: "data: end\n\n\r\n") {
                // Told per event, so that the feed never runs far ahead of this subscriber.
                for i in bytes / text.count..<(bytes + $0) / text.count { heard.add("\(i)") }
                bytes += $0
            }
            heard.add("end")
        }
        for i in 0..<count {
            feed.say(text, id: "\(i)")
            if i >= 2 { #expect(heard.wait(for: "\(i - 2)")) }
        }
        feed.say("end", id: "end")
        reading.join()
        #expect(heard.all.count == count + 1)
        #expect(feed.server.onLoop { _ in feed.closed } == 1)
        #expect(feed.server.onLoop { $0.openConnections } == 1)
    }

    @Test func drainingEndsThem() throws {
        let feed = try Feed()
        let client = try feed.server.connect()
        client.get("/events")
        #expect(eventually { feed.server.onLoop { _ in feed.subscribers.count } == 1 })
        let draining = Thread { feed.server.onLoop { await $0.drain(graceUs: 20_000_000) } }
        // An orderly end: the last chunk is there.
        #expect(try client.response().body == "id: 0\nevent: snapshot\ndata: {}\n\n")
        client.finishSending()
        draining.join()
    }
}

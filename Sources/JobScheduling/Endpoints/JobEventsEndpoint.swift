import Bytes
import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/jobs/events`: what happens to the jobs of a queue, as server-sent events, from a stream of about 10,000 entries
/// in Redis. `Last-Event-ID` resumes after that event as far back as the stream reaches, and an event `gap` says that it does
/// not reach so far; an entry has several events, so an id is the entry's and a number in it.
final class JobEventsEndpoint {
    private final class Subscriber {
        let stream: EventStream
        let queue: QueueName
        /// The last entry that was sent, and how many of its events.
        var entry: String
        var sent: Int

        init(_ stream: EventStream, _ queue: QueueName, entry: String, sent: Int) {
            self.stream = stream
            self.queue = queue
            self.entry = entry
            self.sent = sent
        }
    }

    private let store: JobStore
    private var subscribers: [ObjectIdentifier: Subscriber] = [:]
    private static let pollUs: Int64 = 200_000
    /// How many entries are read at once; one may tell of hundreds of jobs.
    private static let mostEntries = 200
    private static let mostBufferedBytes = 1 << 20

    init(store: JobStore) { self.store = store }

    func add(to routes: Routes) {
        routes.stream("/api/jobs/events", role: .read) { [unowned self] exchange, _ in try await subscribe(exchange) }
    }

    func closeAll() {
        let streams = subscribers.values.map(\.stream)
        subscribers = [:]
        for stream in streams { stream.close() }
    }

    private func subscribe(_ exchange: Exchange) async throws {
        let queue = try QueueName(exchange.queryItem("queue") ?? "default").required("queue")
        var start = (entry: "0-0", sent: 0)
        if let header = exchange.header("last-event-id")?.string {
            guard let place = JobEventsEndpoint.place(header) else {
                throw Problem.field("Last-Event-ID", "is not one that was given out")
            }
            start = place
        } else {
            start = try await last(queue)
        }
        let stream = EventStream(exchange, maxBufferedBytes: JobEventsEndpoint.mostBufferedBytes)
        stream.event(id: "\(start.entry)/\(start.sent)", name: "snapshot", data: "{\"queue\":\"\(queue.text)\"}")
        let subscriber = Subscriber(stream, queue, entry: start.entry, sent: start.sent)
        let identity = ObjectIdentifier(subscriber)
        subscribers[identity] = subscriber
        stream.onClose = { [weak self] in self?.subscribers[identity] = nil }
        store.context.loop.spawn { [weak self] in
            while let self, subscribers[identity] != nil {
                // As long as there is something new it is sent, however much.
                if await send(to: subscriber) == 0 { await store.context.loop.sleep(us: JobEventsEndpoint.pollUs) }
            }
        }
    }

    /// The place after all there is.
    private func last(_ queue: QueueName) async throws -> (entry: String, sent: Int) {
        let key = store.keys.base(queue) + "events"
        let reply = try await store.context.redis.send(
            ["XREVRANGE", key, "+", "-", "COUNT", "1"], key: key, budgetUs: JobStore.budgetUs)
        guard case .array(let entries) = reply, case .array(let parts)? = entries.first, let id = parts.first?.string
        else { return ("0-0", 0) }
        return (id, JobEventsEndpoint.events(parts.last?.strings ?? [], queue).count)
    }

    /// Sends what is new; returns how many new entries there were.
    private func send(to subscriber: Subscriber) async -> Int {
        let key = store.keys.base(subscriber.queue) + "events"
        // The last entry again, of which a part may not have been sent.
        let command = ["XRANGE", key, subscriber.entry, "+", "COUNT", String(JobEventsEndpoint.mostEntries)]
        guard case .array(let entries)? = try? await store.context.redis.send(command, key: key, budgetUs: 1_000_000)
        else { return 0 }
        var news = 0
        var slices = WorkSlices(store.context.loop)
        tellOfGap(subscriber, entries.first)
        for entry in entries {
            guard case .array(let parts) = entry, let id = parts.first?.string, let fields = parts.last?.strings else {
                continue
            }
            let skipped = id == subscriber.entry ? subscriber.sent : 0
            let events = JobEventsEndpoint.events(fields, subscriber.queue)
            if id != subscriber.entry { news += 1 }
            for (i, data) in events.enumerated() where i >= skipped {
                subscriber.stream.event(id: "\(id)/\(i + 1)", name: "change", data: data)
            }
            subscriber.entry = id
            subscriber.sent = events.count
            await slices.pauseIfLong()
        }
        return news
    }

    /// The entry that was sent last is gone from the stream, and so may be others behind it that were not sent.
    private func tellOfGap(_ subscriber: Subscriber, _ first: RedisReply?) {
        guard case .array(let parts)? = first, let id = parts.first?.string, id != subscriber.entry,
            subscriber.entry != "0-0"
        else { return }
        let data = JSONValue.object([.init("after", .string(subscriber.entry)), .init("until", .string(id))]).text()
        subscriber.stream.event(id: "\(subscriber.entry)/\(subscriber.sent)", name: "gap", data: data)
    }

    /// An entry's events: each field is a word and the jobs it is said of.
    private static func events(_ fields: [String], _ queue: QueueName) -> [String] {
        var events: [String] = []
        for i in stride(from: 0, to: fields.count - 1, by: 2) {
            for number in fields[i + 1].split(separator: " ") {
                events.append("{\"event\":\"\(fields[i])\",\"job\":\"\(queue.text)-\(number)\"}")
            }
        }
        return events
    }

    private static func place(_ text: String) -> (entry: String, sent: Int)? {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard halves.count == 2, let entry = StreamID(halves[0]), let sent = Digits.int(halves[1], most: 9) else {
            return nil
        }
        return (entry.text, sent)
    }
}

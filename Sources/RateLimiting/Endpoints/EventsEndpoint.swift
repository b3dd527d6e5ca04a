import Bytes
import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/rate-limits/events`: the rules as server-sent events. First a snapshot, then each change once, in order, fed
/// from the change stream in Redis; `Last-Event-ID` resumes as far back as the stream reaches.
final class EventsEndpoint {
    private final class Subscriber {
        let stream: EventStream
        var lastID: String
        var isReading = false
        var mustReadAgain = false

        init(_ stream: EventStream, lastID: String) {
            self.stream = stream
            self.lastID = lastID
        }
    }

    private let store: RuleStore
    private let context: ServiceContext
    private var subscribers: [ObjectIdentifier: Subscriber] = [:]

    init(store: RuleStore) {
        self.store = store
        context = store.context
    }

    func add(to routes: Routes) {
        routes.stream("/api/rate-limits/events", role: .read) { [unowned self] exchange, _ in
            try await subscribe(exchange)
        }
        context.process.broadcasts.subscribe(RuleFeed.snapshots) { [weak self] _ in
            guard let self else { return }
            for subscriber in subscribers.values { readSoon(subscriber) }
        }
    }

    /// Ends every stream; subscribers come back to another replica with what they saw last.
    func closeAll() {
        let streams = subscribers.values.map(\.stream)
        subscribers = [:]
        for stream in streams { stream.close() }
    }

    private func subscribe(_ exchange: Exchange) async throws {
        var lastID: String?
        if let header = exchange.header("last-event-id")?.string {
            guard let place = StreamID(header) else {
                throw Problem.field("Last-Event-ID", "is not one that was given out")
            }
            lastID = try await reaches(back: place) ? place.description : nil
        }
        let snapshot = lastID == nil ? try await store.read() : nil
        let stream = EventStream(exchange)
        let subscriber = Subscriber(stream, lastID: lastID ?? snapshot?.lastChange ?? "0-0")
        if let snapshot {
            let data = JSONValue.object([
                .init("revision", .int(snapshot.revision)), .init("rules", .array(snapshot.rules.map(\.json))),
            ])
            stream.event(id: snapshot.lastChange, name: "snapshot", data: data.text())
        }
        let identity = ObjectIdentifier(subscriber)
        subscribers[identity] = subscriber
        stream.onClose = { [weak self] in self?.subscribers[identity] = nil }
        readSoon(subscriber)
    }

    /// Sends what the stream has after the subscriber's last event; news that arrive meanwhile lead to one more reading.
    private func readSoon(_ subscriber: Subscriber) {
        if subscriber.isReading {
            subscriber.mustReadAgain = true
            return
        }
        subscriber.isReading = true
        context.loop.spawn { [self] in
            repeat {
                subscriber.mustReadAgain = false
                while await send(to: subscriber) {}
            } while subscriber.mustReadAgain
            subscriber.isReading = false
        }
    }

    /// Sends one page; says whether there may be more.
    private func send(to subscriber: Subscriber) async -> Bool {
        let key = store.keys.changes
        let command = ["XRANGE", key, "(" + subscriber.lastID, "+", "COUNT", "100"]
        guard case .array(let entries)? = try? await context.redis.send(command, key: key, budgetUs: 1_000_000) else {
            return false
        }
        for entry in entries {
            guard case .array(let parts) = entry, let id = parts.first?.string, let fields = parts.last?.strings else {
                continue
            }
            subscriber.lastID = id
            if let data = EventsEndpoint.data(fields) { subscriber.stream.event(id: id, name: "change", data: data) }
        }
        return entries.count == 100
    }

    /// An entry's fields (`revision`, n, then per change `op`, `id`, `rule`) as the event's JSON; nil when the rules stay
    /// as they are and only we have kept something about them.
    private static func data(_ fields: [String]) -> String? {
        var revision = 0
        var changes: [JSONValue] = []
        var marks = 0
        var op = ""
        var id = ""
        for i in stride(from: 0, to: fields.count - 1, by: 2) {
            switch fields[i] {
            case "revision": revision = Int(fields[i + 1]) ?? 0
            case "op": op = fields[i + 1]
            case "id": id = fields[i + 1]
            case _ where op == "mark": marks += 1
            default:
                var members: [JSONValue.Member] = [.init("op", .string(op)), .init("id", .string(id))]
                let stored = fields[i + 1].withByteView { try? JSONValue(parsing: $0) }
                if let stored, let rule = try? Rule(stored: stored) { members.append(.init("rule", rule.json)) }
                changes.append(.object(members))
            }
        }
        if changes.isEmpty, marks > 0 { return nil }
        return JSONValue.object([.init("revision", .int(revision)), .init("changes", .array(changes))]).text()
    }

    /// Whether the stream still holds everything after `id`.
    private func reaches(back id: StreamID) async throws -> Bool {
        let key = store.keys.changes
        let reply = try await context.redis.send(
            ["XRANGE", key, "-", "+", "COUNT", "1"], key: key, budgetUs: 1_000_000)
        guard case .array(let entries) = reply, case .array(let parts)? = entries.first, 
            let first = parts.first?.string.flatMap(StreamID.init)
        else { return false }
        return first <= id
    }
}

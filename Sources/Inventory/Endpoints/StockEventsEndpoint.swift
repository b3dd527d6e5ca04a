import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/inventory/events`: alerts and filled backorders as server-sent events, from a stream of about 10,000 entries in
/// Redis. First a snapshot of the alerts that are not resolved; `Last-Event-ID` resumes after that event as far back as the
/// stream reaches.
final class StockEventsEndpoint {
    private final class Subscriber {
        let stream: EventStream
        /// The last entry that was sent.
        var entry: StreamID

        init(_ stream: EventStream, entry: StreamID) {
            self.stream = stream
            self.entry = entry
        }
    }

    private let lanes: StockLanes
    private let alerts: AlertEndpoints
    private var subscribers: [ObjectIdentifier: Subscriber] = [:]
    private static let pollUs: Int64 = 200_000
    private static let budgetUs: Int64 = 2_000_000

    init(lanes: StockLanes, alerts: AlertEndpoints) {
        self.lanes = lanes
        self.alerts = alerts
    }

    func add(to routes: Routes) {
        routes.stream("/api/inventory/events", role: .read) { [unowned self] exchange, _ in
            try await subscribe(exchange)
        }
    }

    func closeAll() {
        let streams = subscribers.values.map(\.stream)
        subscribers = [:]
        for stream in streams { stream.close() }
    }

    private func subscribe(_ exchange: Exchange) async throws {
        let key = lanes.keys.events
        var start = StreamID(ms: 0, sequence: 0)
        if let header = exchange.header("last-event-id")?.string {
            guard let id = StreamID(header), id.successor != nil else {
                throw Problem.field("Last-Event-ID", "is not one that was given out")
            }
            start = id
        } else {
            let reply = try await lanes.context.redis.send(
                ["XREVRANGE", key, "+", "-", "COUNT", "1"], key: key, budgetUs: StockEventsEndpoint.budgetUs)
            if case .array(let entries) = reply, case .array(let parts)? = entries.first {
                start = parts.first?.string.flatMap { StreamID($0) } ?? start
            }
        }
        // Read after the place in the stream, so that nothing lies between the two.
        let active = try await alerts.read(from: 0, limit: 1000).0.filter { $0.status != .resolved }
        let open = try await together(active, on: exchange.loop) { [alerts] in try await alerts.json($0) }
        let stream = EventStream(exchange)
        stream.event(id: start.text, name: "snapshot", data: JSONValue.object([.init("alerts", .array(open))]).text())
        let subscriber = Subscriber(stream, entry: start)
        let identity = ObjectIdentifier(subscriber)
        subscribers[identity] = subscriber
        stream.onClose = { [weak self] in self?.subscribers[identity] = nil }
        lanes.context.loop.spawn { [weak self] in
            while let self, subscribers[identity] != nil {
                let count = await send(to: subscriber)
                if count < 100 { await lanes.context.loop.sleep(us: StockEventsEndpoint.pollUs) }
            }
        }
    }

    /// Sends what is new; returns how many entries that was.
    private func send(to subscriber: Subscriber) async -> Int {
        let key = lanes.keys.events
        guard let next = subscriber.entry.successor else { return 0 }
        let command = ["XRANGE", key, next.text, "+", "COUNT", "100"]
        guard case .array(let entries)? = try? await lanes.context.redis.send(command, key: key, budgetUs: 1_000_000)
        else { return 0 }
        for entry in entries {
            guard case .array(let parts) = entry, let id = parts.first?.string.flatMap({ StreamID($0) }),
                let fields = parts.last?.strings
            else { continue }
            subscriber.stream.event(id: id.text, name: "change", data: fields.last ?? "")
            subscriber.entry = id
        }
        return entries.count
    }
}

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
        var entry: String

        init(_ stream: EventStream, entry: String) {
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
        var start = "0-0"
        if let header = exchange.header("last-event-id")?.string {
            guard let place = StreamID(header) else {
                throw Problem.field("Last-Event-ID", "is not one that was given out")
            }
            start = place.description
        } else {
            let reply = try await lanes.context.redis.send(
                ["XREVRANGE", key, "+", "-", "COUNT", "1"], key: key, budgetUs: StockEventsEndpoint.budgetUs)
            if case .array(let entries) = reply, case .array(let parts)? = entries.first {
                start = parts.first?.string ?? start
            }
        }
        // Read after the place in the stream, so that nothing lies between the two.
        var open: [JSONValue] = []
        for alert in try await alerts.read(from: .start, limit: 1000).0 where alert.status != .resolved {
            open.append(try await alerts.json(alert))
        }
        let stream = EventStream(exchange)
        stream.event(id: start, name: "snapshot", data: JSONValue.object([.init("alerts", .array(open))]).text())
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
        let command = ["XRANGE", key, "(" + subscriber.entry, "+", "COUNT", "100"]
        guard case .array(let entries)? = try? await lanes.context.redis.send(command, key: key, budgetUs: 1_000_000)
        else { return 0 }
        for entry in entries {
            guard case .array(let parts) = entry, let id = parts.first?.string, let fields = parts.last?.strings else {
                continue
            }
            subscriber.stream.event(id: id, name: "change", data: fields.last ?? "")
            subscriber.entry = id
        }
        return entries.count
    }
}

import Bytes
import EventLoops

/// A connection that only listens: channels are subscribed to again whenever it is made anew. What was published while
/// it was away is lost, so `onResubscribed` is the moment to look at what is true now.
///
/// In a cluster it leads to any node: what is published on one reaches all.
public final class RedisSubscriber {
    private let topology: RedisTopology
    private var connector: RedisConnector!
    private var channels: [(name: String, receive: (ByteView) -> Void)] = []
    /// Called each time all channels are subscribed to.
    public var onResubscribed: (() -> Void)?

    public init(of redis: RedisClient) {
        topology = redis.topology
        connector = RedisConnector(topology: topology, place: .anyNode) { [weak self] link in
            guard let self else { throw RedisError.unavailable }
            try await subscribe(link)
        }
        connector.onReady = { [weak self] in self?.onResubscribed?() }
    }

    deinit { connector.close() }

    /// Adds a channel; before `start` only. `receive`'s view holds during the call.
    public func subscribe(_ channel: String, _ receive: @escaping (ByteView) -> Void) {
        channels.append((channel, receive))
    }

    public func start() {
        topology.start()
        connector.start()
    }

    public func close() { connector.close() }

    private func subscribe(_ link: RedisLink) async throws {
        link.onMessage = { [weak self] message in
            guard let self, message.count == 3, message[0].bytes == "message" else { return }
            for channel in channels where channel.name.withByteView({ $0 == message[1].bytes }) {
                channel.receive(message[2].bytes)
            }
        }
        try await link.subscribe(channels.map(\.name))
    }
}

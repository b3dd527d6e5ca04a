import Bytes
import EventLoops

/// A connection of one's own that is kept up, for transactions one after the other: WATCH, MULTI and EXEC are sent as calls
/// like any others, and nobody else's come between.
///
/// It leads to the master, or in a cluster to the node that serves a key, and follows when that is another. What a node
/// says that does not serve the key any more (`RedisError.isElsewhere`) is for the caller to hear and to try again.
public final class ExclusiveConnection {
    private let topology: RedisTopology
    private let connector: RedisConnector
    private let loop: EventLoop
    /// Called each time the connection is ready for a first transaction.
    public var onReady: (() -> Void)?

    /// - Parameters:
    ///   - redis: whose servers these are.
    ///   - key: a key of the slot that the connection serves; nil only where there are no slots.
    ///   - scripts: loaded on every connection before it is used.
    public init(of redis: RedisClient, serving key: String? = nil, scripts: [Script]) {
        topology = redis.topology
        loop = redis.loop
        let place = key.map { RedisPlace.slot(RedisSlot.of($0)) } ?? .master
        let cluster = redis.topology.cluster
        connector = RedisConnector(topology: topology, place: place) { link in
            for script in scripts { try await link.load(script) }
            link.onRefusal = { [weak cluster, weak link] _, error in
                guard let cluster, let redirection = Redirection(error, answering: link?.host ?? "") else {
                    return false
                }
                if case .moved(let slot, let address) = redirection {
                    _ = cluster.learn(slot: slot, at: address)
                } else {
                    cluster.askSoon()
                }
                return false
            }
        }
        connector.onReady = { [weak self] in self?.onReady?() }
    }

    deinit { connector.close() }

    public func start() {
        topology.start()
        connector.start()
    }

    public func close() { connector.close() }

    public var isReady: Bool { connector.link != nil }

    /// Sends `call` with the tick's others; `unavailable` while there is no connection.
    public func submit(_ call: any RedisCall, budgetUs: Int64) {
        guard let link = connector.link else { return call.completed(.failure(.unavailable)) }
        link.send(call, deadlineUs: loop.nowUs + budgetUs)
    }

    /// Writes what was submitted now, instead of at the end of the tick.
    public func flush() { connector.link?.flush() }

    /// Ends the connection and makes another: after an error nobody knows what it still watches or has queued.
    public func cut() { connector.link?.close() }
}

extension RedisLink {
    func load(_ script: Script) async throws {
        let source = String(decoding: script.source, as: UTF8.self)
        guard let hash = try await send(["SCRIPT", "LOAD", source]).bytes else {
            throw RedisError.unexpectedReply("SCRIPT LOAD")
        }
        writer.learn(hash, of: script)
    }
}

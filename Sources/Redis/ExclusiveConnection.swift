import EventLoops

/// A connection of one's own that is kept up, for transactions one after the other: WATCH, MULTI and EXEC are sent as calls
/// like any others, and nobody else's come between.
public final class ExclusiveConnection {
    private let connector: RedisConnector
    private let loop: EventLoop
    /// Called each time the connection is ready for a first transaction.
    public var onReady: (() -> Void)?

    /// - Parameter scripts: loaded on every connection before it is used.
    public init(loop: EventLoop, configuration: RedisConfiguration, scripts: [Script]) {
        self.loop = loop
        connector = RedisConnector(loop: loop, configuration: configuration) { link in
            for script in scripts { try await link.load(script) }
        }
        connector.onReady = { [weak self] in self?.onReady?() }
    }

    deinit { connector.close() }

    public func start() { connector.start() }

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

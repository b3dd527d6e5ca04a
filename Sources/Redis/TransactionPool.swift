import EventLoops

/// Connections for transactions: leased exclusively, kept for the next when they were given back clean.
final class TransactionPool {
    private let loop: EventLoop
    private let configuration: RedisConfiguration
    private var idle: [RedisConnector] = []
    private var isClosed = false
    private static let mostIdle = 16

    init(loop: EventLoop, configuration: RedisConfiguration) {
        self.loop = loop
        self.configuration = configuration
    }

    /// A connection that nobody else uses, made when none is idle.
    func lease(budgetUs: Int64) async throws(RedisError) -> (RedisConnector, RedisLink) {
        if isClosed { throw .unavailable }
        while let connector = idle.popLast() {
            if let link = connector.link { return (connector, link) }
            connector.close()
        }
        let connector = RedisConnector(loop: loop, configuration: configuration) { _ in }
        connector.start()
        guard let link = await connector.whenReady(timeoutUs: budgetUs) else {
            connector.close()
            throw .unavailable
        }
        return (connector, link)
    }

    func giveBack(_ connector: RedisConnector) {
        if !isClosed, idle.count < TransactionPool.mostIdle { idle.append(connector) } else { connector.close() }
    }

    func close() {
        isClosed = true
        for connector in idle { connector.close() }
        idle = []
    }
}

import EventLoops

/// Connections for transactions: leased exclusively, kept for the next when they were given back clean. Their number is
/// bounded; who comes when all are out waits for one within its budget, in order.
final class TransactionPool {
    private let loop: EventLoop
    private unowned let topology: RedisTopology
    private let place: RedisPlace
    private var idle: [RedisConnector] = []
    private var leased = 0
    /// Called with true when a lease has become free for them, oldest first.
    private var waiting: [(number: Int, wake: (Bool) -> Void)] = []
    private var lastWaiting = 0
    private var isClosed = false
    private static let mostIdle = 16
    static let mostLeased = 64

    init(topology: RedisTopology, place: RedisPlace) {
        loop = topology.loop
        self.topology = topology
        self.place = place
    }

    /// A connection that nobody else uses, made when none is idle. Give it back, or end it.
    func lease(deadlineUs: Int64) async throws(RedisError) -> (RedisConnector, RedisLink) {
        if isClosed { throw .unavailable }
        if leased < TransactionPool.mostLeased {
            leased += 1
        } else if await !turn(deadlineUs) {
            throw isClosed ? .unavailable : .overloaded
        }
        while let connector = idle.popLast() {
            if let link = connector.link { return (connector, link) }
            connector.close()
        }
        let connector = RedisConnector(topology: topology, place: place) { _ in }
        connector.start()
        guard let link = await connector.whenReady(timeoutUs: deadlineUs - loop.nowUs), !isClosed else {
            end(connector)
            throw .unavailable
        }
        return (connector, link)
    }

    /// Takes back a connection that may serve another transaction.
    func giveBack(_ connector: RedisConnector) {
        // Whoever waits takes it from among the idle ones.
        let isWanted = !waiting.isEmpty || idle.count < TransactionPool.mostIdle
        if !isClosed, isWanted { idle.append(connector) } else { connector.close() }
        passOn()
    }

    /// Ends a lease together with its connection.
    func end(_ connector: RedisConnector) {
        connector.close()
        passOn()
    }

    func close() {
        isClosed = true
        for connector in idle { connector.close() }
        idle = []
        let given = waiting
        waiting = []
        for (_, wake) in given { wake(false) }
    }

    /// A lease that has ended is the next one's, if anyone waits.
    private func passOn() {
        if waiting.isEmpty { leased -= 1 } else { waiting.removeFirst().wake(true) }
    }

    /// Suspends until a lease is passed on; false when none is in time.
    private func turn(_ deadlineUs: Int64) async -> Bool {
        lastWaiting += 1
        let number = lastWaiting
        var timer: LoopTimer?
        let hasLease: Bool = await suspend { resume in
            waiting.append((number, resume))
            timer = loop.after(us: deadlineUs - loop.nowUs) { [weak self] in
                guard let self, let index = waiting.firstIndex(where: { $0.number == number }) else { return }
                waiting.remove(at: index).wake(false)
            }
        }
        withExtendedLifetime(timer) {}
        return hasLease
    }
}

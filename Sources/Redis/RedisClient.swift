import Bytes
import EventLoops

/// One loop's way to Redis: a pipelined connection that is kept up, and leased ones for transactions.
public final class RedisClient {
    public let configuration: RedisConfiguration
    let loop: EventLoop
    private let scripts: [Script]
    private var connector: RedisConnector!
    private var hasBeenReady = false
    private(set) lazy var pool = TransactionPool(loop: loop, configuration: configuration)

    /// What this client has done, for metrics.
    @exclusivity(unchecked) public private(set) var commands = 0
    /// Connections made after the first.
    public private(set) var reconnects = 0
    public private(set) var scriptRetries = 0
    /// Writes to Redis: each carries the commands of one tick.
    public var writes: Int { traffic.writes }
    /// The most commands that ever waited on the connection.
    public var deepestPipeline: Int { traffic.deepestPipeline }
    private let traffic = RedisTraffic()
    /// What the server says of itself, once connected: `redis_version`, `maxmemory_policy` and the like.
    public private(set) var serverInfo: [String: String] = [:]
    /// Called with true when the connection becomes ready and with false when it is lost.
    public var onStateChange: ((Bool) -> Void)?

    /// - Parameter scripts: loaded on every connection before it is used.
    public init(loop: EventLoop, configuration: RedisConfiguration, scripts: [Script]) {
        self.loop = loop
        self.configuration = configuration
        self.scripts = scripts
        connector = RedisConnector(loop: loop, configuration: configuration) { [weak self] link in
            guard let self else { throw RedisError.unavailable }
            try await prepare(link)
        }
        connector.traffic = traffic
        connector.onReady = { [weak self] in self?.becameReady() }
        connector.onLost = { [weak self] in self?.onStateChange?(false) }
    }

    deinit { connector.close() }

    public func start() { connector.start() }

    public func close() async {
        connector.close()
        pool.close()
    }

    public var isReady: Bool { connector.link != nil }

    /// Suspends until the client is ready; false when it is not within `timeoutUs`.
    public func whenReady(timeoutUs: Int64) async -> Bool {
        await connector.whenReady(timeoutUs: timeoutUs) != nil
    }

    /// Why the last attempt to connect failed, if Redis said so; nil while connected.
    public var lastError: RedisError? { connector.lastError }

    private func becameReady() {
        if hasBeenReady { reconnects += 1 }
        hasBeenReady = true
        onStateChange?(true)
    }

    // MARK: Commands

    /// Sends `call` with the tick's others.
    /// - Parameter budgetUs: how long its reply is waited for.
    public func submit(_ call: any RedisCall, budgetUs: Int64) {
        guard let link = link(for: call.route) else { return call.completed(.failure(.unavailable)) }
        commands += 1
        link.send(call, deadlineUs: loop.nowUs + budgetUs)
    }

    /// Sends a command and suspends until its reply; an error reply throws.
    /// - Parameter key: the key by which a topology picks the node.
    public func send(_ words: [String], key: String, budgetUs: Int64) async throws(RedisError) -> RedisReply {
        try await CommandCall.reply { submit(CommandCall(words, key: key, then: $0), budgetUs: budgetUs) }
    }

    /// Runs a script and suspends until its reply.
    public func run(
        _ script: Script, keys: [String], arguments: [String], budgetUs: Int64
    ) async throws(RedisError) -> RedisReply {
        try await CommandCall.reply {
            submit(CommandCall(script, keys: keys, arguments: arguments, then: $0), budgetUs: budgetUs)
        }
    }

    /// Leases a connection of its own for a WATCH/MULTI/EXEC transaction; when too many are out, waits for one and fails
    /// as overloaded if none comes back in time. It goes back to the pool when `body` returns
    /// and the transaction ended cleanly, and is cut otherwise.
    /// - Parameters:
    ///   - key: the key by which a topology picks the node; all of the transaction's keys share its slot.
    ///   - budgetUs: for all of it: the lease, and every reply.
    public func transaction<Result>(
        key: String, budgetUs: Int64, _ body: (Transaction) async throws -> Result
    ) async throws -> Result {
        let deadlineUs = loop.nowUs + budgetUs
        let (connector, link) = try await pool.lease(deadlineUs: deadlineUs)
        let transaction = Transaction(link, loop: loop, deadlineUs: deadlineUs)
        do {
            let result = try await body(transaction)
            if await transaction.isReusable() { pool.giveBack(connector) } else { pool.end(connector) }
            return result
        } catch {
            pool.end(connector)
            throw error
        }
    }

    /// The connection that serves a route: with one Redis, the one there is.
    private func link(for route: RedisRoute) -> RedisLink? { connector.link }

    // MARK: Preparing

    /// Checks the server and loads the scripts.
    private func prepare(_ link: RedisLink) async throws {
        serverInfo = RedisClient.parse(info: try await link.send(["INFO"]).string ?? "")
        try RedisClient.checkVersion(serverInfo["redis_version"] ?? "")
        for script in scripts { try await link.load(script) }
        link.onNoScript = { [weak self] in self?.scriptRetries += 1 }
    }

    /// Scripts rely on 7.0: `#!lua flags`, and effects that are replicated instead of the script.
    static func checkVersion(_ version: String) throws(RedisError) {
        guard let major = Int(version.prefix { $0 != "." }), major >= 7 else {
            throw .unexpectedReply("Redis \(version) is older than 7.0")
        }
    }

    static func parse(info: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in info.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return values
    }
}

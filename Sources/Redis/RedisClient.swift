import Bytes
import EventLoops

/// One loop's way to Redis: pipelined connections that are kept up, and leased ones for transactions; to one server, to
/// the master that Sentinel names, or to every master of a cluster.
public final class RedisClient {
    public let configuration: RedisConfiguration
    let loop: EventLoop
    let topology: RedisTopology
    /// The one server; nil in a cluster.
    private let main: RedisNode?
    private let nodes: ClusterNodes?
    /// Calls that a master answered which was becoming none, until there is another.
    private var waiting: WaitingCalls?

    /// What this client has done, for metrics.
    @exclusivity(unchecked) public private(set) var commands = 0
    /// Connections made after the first to the same server.
    public var reconnects: Int { all.reduce(0) { $0 + $1.reconnects } }
    public var scriptRetries: Int { all.reduce(0) { $0 + $1.scriptRetries } }
    /// Writes to Redis: each carries the commands of one tick.
    public var writes: Int { traffic.writes }
    /// The most commands that ever waited on a connection.
    public var deepestPipeline: Int { traffic.deepestPipeline }
    private let traffic = RedisTraffic()
    /// Called with true when a server's connection becomes ready and with false when it is lost, and the server's address.
    public var onStateChange: ((_ isReady: Bool, _ server: String) -> Void)?

    /// Called when a connection of this loop is ended because of what a server sent on it: an answer to nothing that was
    /// asked, or what is not Redis's protocol.
    public var onBreach: ((_ server: String, _ reason: RedisError) -> Void)? {
        get { topology.onBreach }
        set { topology.onBreach = newValue }
    }

    /// - Parameter scripts: loaded on every connection before it is used.
    public init(loop: EventLoop, configuration: RedisConfiguration, scripts: [Script]) {
        self.loop = loop
        self.configuration = configuration
        topology = RedisTopology(loop: loop, configuration: configuration)
        if let watch = topology.cluster {
            main = nil
            nodes = ClusterNodes(topology: topology, watch: watch, scripts: scripts, traffic: traffic)
        } else {
            main = RedisNode(topology: topology, place: .master, scripts: scripts, traffic: traffic)
            nodes = nil
        }
        main?.onStateChange = { [weak self] in self?.onStateChange?($1, $0.name) }
        nodes?.onStateChange = { [weak self] in self?.onStateChange?($1, $0.name) }
        guard let sentinels = topology.sentinels else { return }
        waiting = WaitingCalls(loop: loop, most: configuration.maxPending) { [unowned self] in again($0) }
        main?.onRefusal = { [weak self, weak sentinels] _, entry, reply in
            guard let self, let call = entry.call, Redirection(reply, answering: "") == .later else { return false }
            // What a replica refuses has changed nothing, wherever in a script it stands.
            sentinels?.poll()
            waiting?.add(
                call, deadlineUs: entry.deadlineUs, redirections: entry.redirections &+ 1,
                error: RedisError(reply: reply))
            return true
        }
    }

    deinit {
        main?.close()
        nodes?.close()
    }

    public func start() {
        topology.start()
        main?.connector.start()
    }

    public func close() async {
        main?.close()
        nodes?.close()
        waiting?.close()
        topology.close()
    }

    /// Whether there is a server that answers.
    public var isReady: Bool { main.map { $0.connector.link != nil } ?? nodes!.isAnyReady }

    /// Suspends until the client is ready, in a cluster with every slot; false when it is not within `timeoutUs`.
    public func whenReady(timeoutUs: Int64) async -> Bool {
        guard let main else { return await nodes!.whenReady(timeoutUs: timeoutUs) }
        return await main.connector.whenReady(timeoutUs: timeoutUs) != nil
    }

    /// Why the last attempt to connect failed, if Redis said so; nil while connected.
    public var lastError: RedisError? { all.lazy.compactMap(\.connector.lastError).first }

    private var all: [RedisNode] { main.map { [$0] } ?? nodes!.all }

    // MARK: Who serves what

    public var isCluster: Bool { nodes != nil }

    /// Which server has a key's slot at the moment: a small number, the same while the process runs; 0 where there is one.
    public func node(of key: ByteView) -> Int {
        guard let watch = topology.cluster else { return 0 }
        return watch.map.owner(ofSlot: RedisSlot.of(key)) ?? 0
    }

    /// What a server says of itself, once connected: `redis_version`, `maxmemory_policy` and the like.
    public var serverInfo: [String: String] { all.lazy.map(\.info).first { !$0.isEmpty } ?? [:] }

    /// The run id of the server that has a key's slot; empty while that is unknown.
    public func serverRunID(of key: ByteView) -> String { server(of: key)?.info["run_id"] ?? "" }

    /// Names the time during which one server is the master of a key's slot: another one, or the same one again, has
    /// another name. Empty while it is unknown.
    public func reign(of key: ByteView) -> String {
        guard let info = server(of: key)?.info, let run = info["run_id"], let replication = info["master_replid"] else {
            return ""
        }
        return run + "/" + replication
    }

    private func server(of key: ByteView) -> RedisNode? { main ?? nodes?.node(ofSlot: RedisSlot.of(key)) }

    // MARK: Commands

    /// Sends `call` with the tick's others, to the server of its route. Where that one says that the slot is elsewhere or
    /// on the move, it is sent there, or again, until its time is over.
    /// - Parameter budgetUs: how long its reply is waited for.
    public func submit(_ call: any RedisCall, budgetUs: Int64) {
        guard let main else {
            commands += 1
            return nodes!.send(call, deadlineUs: loop.nowUs + budgetUs)
        }
        guard let link = main.connector.link else { return call.completed(.failure(.unavailable)) }
        commands += 1
        link.send(call, deadlineUs: loop.nowUs + budgetUs)
    }

    /// Sends a call once more that a master refused which is none any more.
    private func again(_ entry: WaitingCalls.Entry) {
        guard let link = main?.connector.link else {
            return waiting!.add(
                entry.call, deadlineUs: entry.deadlineUs, redirections: entry.redirections, error: entry.error)
        }
        link.send(entry.call, deadlineUs: entry.deadlineUs, redirections: entry.redirections)
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

    /// The same, with the run id of the server that ran it, which may be another than the key's is known to have: a call
    /// is sent on to where its slot is. Empty where that is unknown.
    public func runNamingServer(
        _ script: Script, keys: [String], arguments: [String], budgetUs: Int64
    ) async throws(RedisError) -> (reply: RedisReply, server: String) {
        var sent: CommandCall?
        let reply = try await CommandCall.reply {
            let call = CommandCall(script, keys: keys, arguments: arguments, then: $0)
            sent = call
            submit(call, budgetUs: budgetUs)
        }
        return (reply, sent?.server ?? "")
    }

    // MARK: Transactions

    /// The one server's leased connections.
    var pool: TransactionPool { main!.pool }

    /// Leases a connection of its own for a WATCH/MULTI/EXEC transaction; when too many are out, waits for one and fails
    /// as overloaded if none comes back in time. It goes back to the pool when `body` returns
    /// and the transaction ended cleanly, and is cut otherwise.
    /// - Parameters:
    ///   - key: the key by which a topology picks the node; all of the transaction's keys share its slot.
    ///   - budgetUs: for all of it: the lease, and every reply.
    ///   - body: called again where its first step was refused because the slot is elsewhere.
    public func transaction<Result>(
        key: String, budgetUs: Int64, _ body: (Transaction) async throws -> Result
    ) async throws -> Result {
        let deadlineUs = loop.nowUs + budgetUs
        var pauseUs: Int64 = 5000
        while true {
            do {
                return try await attempt(key, deadlineUs, body)
            } catch let error as RedisError where error.isElsewhere && configuration.topology.hasMany {
                guard loop.nowUs + pauseUs < deadlineUs else { throw error }
                topology.cluster?.askSoon()
                topology.sentinels?.poll()
                await loop.sleep(us: pauseUs)
                pauseUs = min(pauseUs * 2, 80_000)
            }
        }
    }

    private func attempt<Result>(
        _ key: String, _ deadlineUs: Int64, _ body: (Transaction) async throws -> Result
    ) async throws -> Result {
        guard let pool = key.withByteView({ server(of: $0) })?.pool else { throw RedisError.unavailable }
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
}

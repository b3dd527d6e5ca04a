import Bytes
import EventLoops

/// A server that calls are sent to: its pipelined connection, and leased ones for transactions.
final class RedisNode {
    let connector: RedisConnector
    let pool: TransactionPool
    /// What the server said of itself when the connection was made: `redis_version`, `run_id` and the like.
    private(set) var info: [String: String] = [:]
    /// Calls that named a script which the server had forgotten.
    private(set) var scriptRetries = 0
    /// Connections made after the first.
    private(set) var reconnects = 0
    private var hasBeenReady = false
    /// Called with true when the connection becomes ready and with false when it is lost.
    var onStateChange: ((RedisNode, Bool) -> Void)?
    /// Hears error replies first, as of a link.
    var onRefusal: ((RedisLink, PendingCalls.Entry, ByteView) -> Bool)?

    init(topology: RedisTopology, place: RedisPlace, scripts: [Script], traffic: RedisTraffic) {
        pool = TransactionPool(topology: topology, place: place)
        var prepare: RedisConnector.Preparation = { _ in }
        connector = RedisConnector(topology: topology, place: place) { try await prepare($0) }
        prepare = { [weak self] link in try await self?.prepare(link, scripts) }
        connector.traffic = traffic
        connector.onReady = { [weak self] in
            guard let self else { return }
            if hasBeenReady { reconnects += 1 }
            hasBeenReady = true
            onStateChange?(self, true)
        }
        connector.onLost = { [weak self] in if let self { onStateChange?(self, false) } }
    }

    deinit { connector.close() }

    func close() {
        onStateChange = nil
        connector.close()
        pool.close()
    }

    /// Names the node: its address.
    var name: String { connector.address.map { "\($0)" } ?? "" }

    /// Checks the server and loads the scripts.
    private func prepare(_ link: RedisLink, _ scripts: [Script]) async throws {
        info = RedisNode.parse(info: try await link.send(["INFO"]).string ?? "")
        try RedisNode.checkVersion(info["redis_version"] ?? "")
        link.writer.server = info["run_id"] ?? ""
        for script in scripts { try await link.load(script) }
        link.onNoScript = { [weak self] in self?.scriptRetries += 1 }
        if onRefusal == nil { return }
        link.onRefusal = { [weak self, unowned link] in self?.onRefusal?(link, $0, $1) ?? false }
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

import EventLoops
import Glibc

/// A real cluster for tests: masters that share the slots evenly, and replicas of them, on the loopback.
public final class RedisCluster: Sendable {
    public let masters: [RedisServer]
    /// Those of the first master, then those of the second…
    public let replicas: [RedisServer]

    /// The URL by which Quartermaster finds it: all masters are named.
    public var url: String {
        "redis+cluster://" + RedisUsers.credentials("server")
            + masters.map { "127.0.0.1:\($0.port!)" }.joined(separator: ",")
    }

    /// - Parameter replicas: of each master.
    public init(
        masters masterCount: Int = 3, replicas replicaCount: Int = 0, nodeTimeoutMs: Int = 2000,
        arguments: [String] = [], isPersistent: Bool = false
    ) throws {
        func node() throws -> RedisServer {
            let busPort = String(try freePort())
            return try RedisServer(
                options: RedisServer.Options(
                    arguments: [
                        "--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout",
                        String(nodeTimeoutMs), "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay",
                        "0",
                    ] + arguments, listensOnTCP: true, isPersistent: isPersistent))
        }
        masters = try (0..<masterCount).map { _ in try node() }
        replicas = try (0..<masterCount * replicaCount).map { _ in try node() }
        let share = RedisCluster.slots / masterCount
        for (i, master) in masters.enumerated() {
            let last = i == masterCount - 1 ? RedisCluster.slots - 1 : (i + 1) * share - 1
            try master.redis("CLUSTER", "ADDSLOTSRANGE", String(i * share), String(last))
        }
        for (i, server) in nodes.enumerated() {
            try server.redis("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1))
            if i > 0 { try nodes[0].redis("CLUSTER", "MEET", "127.0.0.1", String(server.port!), server.busPort) }
        }
        try settle(nodes) { node in
            let info = try node.redis("CLUSTER", "INFO")
            return info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:\(self.nodes.count)\r")
        }
        for (i, replica) in replicas.enumerated() {
            try replica.redis("CLUSTER", "REPLICATE", try masters[i / replicaCount].redis("CLUSTER", "MYID"))
        }
        try settle(replicas) { try $0.redis("INFO", "replication").contains("master_link_status:up") }
    }

    private static let slots = 16_384

    public var nodes: [RedisServer] { masters + replicas }

    // MARK: Who has what

    public func slot(of key: String) throws -> Int { Int(try masters[0].redis("CLUSTER", "KEYSLOT", key))! }

    /// The node that serves a slot now, by its own word. What the others have heard of it may be old: after a move the last
    /// message of the former owner can still be on its way to them.
    public func owner(ofSlot slot: Int) throws -> RedisServer {
        var owners: [RedisServer] = []
        let isClear = blockingUntil {
            owners = nodes.filter { !$0.isDown && serves($0, slot) }
            return owners.count == 1
        }
        guard isClear else { throw SetUpFailure("\(owners.count) nodes serve slot \(slot)") }
        return owners[0]
    }

    /// Whether a master says that a slot is its own.
    private func serves(_ node: RedisServer, _ slot: Int) -> Bool {
        guard let map = try? node.redis("CLUSTER", "NODES") else { return false }
        for line in map.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            guard words.count > 8, words[2].contains("myself"), words[2].contains("master") else { continue }
            // Slots on the move stand in brackets; they are also in their owner's ranges.
            for range in words[8...] where !range.hasPrefix("[") {
                let ends = range.split(separator: "-").compactMap { Int($0) }
                if let first = ends.first, let last = ends.last, first <= slot, slot <= last { return true }
            }
        }
        return false
    }

    /// A connection to the node that serves a key.
    public func connect(forKey key: String) throws -> RESPConnection {
        try owner(ofSlot: try slot(of: key)).connect()
    }

    /// One command at the node that serves its key; `key` is its second word unless said.
    @discardableResult
    public func redis(_ words: String..., key: String? = nil) throws -> RESPConnection.Reply {
        try connect(forKey: key ?? words[1]).command(words)
    }

    // MARK: Moving a slot

    /// The slot is on the move from now on; its keys stay where they are until `moveKeys`.
    public func beginMove(ofSlot slot: Int, to target: RedisServer) throws {
        let source = try owner(ofSlot: slot)
        let (from, to) = (try source.redis("CLUSTER", "MYID"), try target.redis("CLUSTER", "MYID"))
        try target.redis("CLUSTER", "SETSLOT", String(slot), "IMPORTING", from)
        try source.redis("CLUSTER", "SETSLOT", String(slot), "MIGRATING", to)
    }

    /// Moves keys of a slot that is on the move.
    /// - Parameter most: how many at most.
    /// - Returns: how many were moved.
    @discardableResult
    public func moveKeys(ofSlot slot: Int, to target: RedisServer, most: Int = .max) throws -> Int {
        let source = try owner(ofSlot: slot)
        let connection = try source.connect()
        var moved = 0
        while moved < most {
            let keys = try connection("CLUSTER", "GETKEYSINSLOT", String(slot), String(min(most - moved, 100))).elements
            if keys.isEmpty { break }
            try connection.command(
                ["MIGRATE", "127.0.0.1", String(target.port!), "", "0", "10000", "KEYS"] + keys.map(\.text))
            moved += keys.count
        }
        return moved
    }

    /// The slot belongs to `target` from now on; its keys have been moved.
    public func endMove(ofSlot slot: Int, to target: RedisServer) throws {
        let source = try owner(ofSlot: slot)
        let id = try target.redis("CLUSTER", "MYID")
        try target.redis("CLUSTER", "SETSLOT", String(slot), "NODE", id)
        try source.redis("CLUSTER", "SETSLOT", String(slot), "NODE", id)
        for node in masters where node !== target && node !== source && !node.isDown {
            try node.redis("CLUSTER", "SETSLOT", String(slot), "NODE", id)
        }
    }

    /// All of it.
    public func move(slot: Int, to target: RedisServer) throws {
        try beginMove(ofSlot: slot, to: target)
        try moveKeys(ofSlot: slot, to: target)
        try endMove(ofSlot: slot, to: target)
    }

    /// A slot's keys on one node, in order.
    public func keys(ofSlot slot: Int, on node: RedisServer) throws -> [String] {
        try node.connect().command(["CLUSTER", "GETKEYSINSLOT", String(slot), "10000"]).elements.map(\.text).sorted()
    }

    private func settle(_ nodes: [RedisServer], _ condition: (RedisServer) throws -> Bool) throws {
        for node in nodes {
            guard try blockingUntil({ try condition(node) }) else {
                throw SetUpFailure("the cluster did not come up: \(try node.redis("CLUSTER", "INFO"))")
            }
        }
    }
}

extension RedisServer {
    fileprivate var busPort: String {
        (try? redis("CONFIG", "GET", "cluster-port"))?.split(separator: "\n").last.map(String.init) ?? ""
    }
}

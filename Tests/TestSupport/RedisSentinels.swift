import EventLoops
import Glibc

/// A master, its replicas, and three Sentinels that watch them, on the loopback.
public final class RedisSentinels: Sendable {
    /// The master at first, then its replicas.
    public let servers: [RedisServer]
    public let name = "shop"
    private let folder: TemporaryFolder
    private let sentinels: [ChildProcess]
    private let ports: [Int]

    public var url: String {
        "redis+sentinel://" + RedisUsers.credentials("server") + ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            + "/\(name)"
    }

    /// - Parameter arguments: further ones of each redis-server.
    public init(replicas: Int = 1, downAfterMs: Int = 500, arguments: [String] = []) throws {
        let common = ["--repl-diskless-sync-delay", "0"] + arguments
        let master = try RedisServer(options: RedisServer.Options(arguments: common, listensOnTCP: true))
        let others = try (0..<replicas).map { _ in
            try RedisServer(
                options: RedisServer.Options(
                    arguments: common + ["--replicaof", "127.0.0.1 \(master.port!)"], listensOnTCP: true))
        }
        servers = [master] + others
        for replica in others {
            let isUp = try blockingUntil {
                try replica.redis("INFO", "replication").contains("master_link_status:up")
            }
            guard isUp else { throw SetUpFailure("a replica did not find its master") }
        }
        folder = try TemporaryFolder()
        ports = try (0..<3).map { _ in try freePort() }
        var started: [ChildProcess] = []
        for (i, port) in ports.enumerated() {
            let file = folder.path + "/sentinel-\(i).conf"
            try RedisSentinels.write(
                """
                port \(port)
                bind 127.0.0.1
                dir \(folder.path)
                sentinel monitor \(name) 127.0.0.1 \(master.port!) 2
                sentinel down-after-milliseconds \(name) \(downAfterMs)
                sentinel failover-timeout \(name) 3000

                """, to: file)
            started.append(
                try ChildProcess(
                    [Environment["QM_REDIS_SERVER"] ?? "redis-server", file, "--sentinel"],
                    output: folder.path + "/sentinel-\(i).log"))
        }
        sentinels = started
        // Only a Sentinel that knows the others and the replicas can have one promoted.
        let knowsAll = blockingUntil {
            ports.allSatisfy { port in
                guard let sentinel = try? RESPConnection(.tcp(host: "127.0.0.1", port: port)),
                    let words = try? sentinel("SENTINEL", "MASTER", name).elements.map(\.text)
                else { return false }
                func value(_ field: String) -> Int? {
                    words.firstIndex(of: field).flatMap { Int(words[$0 + 1]) }
                }
                return value("num-other-sentinels") == 2 && value("num-slaves") == replicas
            }
        }
        guard knowsAll else { throw SetUpFailure("the Sentinels did not find each other") }
    }

    /// A connection to one of the Sentinels.
    public func connect(_ index: Int = 0) throws -> RESPConnection {
        try RESPConnection(.tcp(host: "127.0.0.1", port: ports[index]))
    }

    /// The master by a Sentinel's word.
    public func master() throws -> RedisServer {
        let words = try connect()("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name).elements.map(\.text)
        guard words.count == 2, let server = servers.first(where: { $0.port == Int(words[1]) }) else {
            throw SetUpFailure("the Sentinels name no master")
        }
        return server
    }

    /// Has the Sentinels make a replica the master, without a failure.
    public func failOver() throws {
        let before = try master()
        // Refused until a replica has been heard of as good.
        _ = try blockingUntil { try connect().exchange(["SENTINEL", "FAILOVER", name]) == .text("OK") }
        guard try blockingUntil({ try master() !== before }) else { throw SetUpFailure("no failover happened") }
    }

    public func kill(sentinel index: Int) { sentinels[index].kill() }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw SetUpFailure("cannot write \(path)") }
        fputs(text, file)
        fclose(file)
    }
}

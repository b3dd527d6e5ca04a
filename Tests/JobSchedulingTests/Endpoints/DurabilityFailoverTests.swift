import EventLoops
import Glibc
import JSON
import TestSupport
import Testing

/// Who is the master may change between an effect and the wait for its safety: then nothing is promised.
struct DurabilityFailoverTests {
    private let body = #"{"name":"a","type":"simulated","durability":"replicated"}"#
    private let key = [("Idempotency-Key", "once")]

    private func primary() throws -> RedisServer { try RedisServer(options: .init(listensOnTCP: true)) }

    /// A replica that is up to date.
    private func replica(of primary: RedisServer) async throws -> RedisServer {
        let replica = try RedisServer(
            options: .init(arguments: ["--replicaof", "127.0.0.1", String(primary.port!)], listensOnTCP: true))
        #expect(try await eventually { try primary.redis("INFO", "replication").contains("state=online") })
        return replica
    }

    private func jobs(_ redis: RedisServer, _ server: JobServer) throws -> Int {
        Int(try redis.redis("ZCARD", "\(server.server.prefix)jobs:{default}:ready:simulated")) ?? 0
    }

    /// Has the server's connections to `redis` made anew, at which they go where the port leads now.
    private func cut(_ redis: RedisServer) throws {
        try redis.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }

    @Test func aNewMastersWordIsNoneAboutTheOldOnes() async throws {
        let (old, new) = (try primary(), try primary())
        let replica = try await replica(of: new)
        let port = try SwitchedPort(old)
        let server = try JobServer(url: port.url, works: false)
        // From here on new connections lead to the new master, as that of the wait does; the effect's is an older one.
        port.lead(to: new)
        let answer = try server.send("POST", "/api/jobs", body, headers: key)
        #expect(answer.status == 503 && answer.text.contains("master changed"), "\(answer.text)")
        #expect(try jobs(old, server) == 1 && jobs(new, server) == 0)
        try cut(old)
        // Under the same key it is done anew where nobody has heard of it.
        #expect(try await eventually { try server.send("GET", "/api/queues").status == 200 })
        let again = try server.send("POST", "/api/jobs", body, headers: key)
        #expect(again.status == 201, "\(again.text)")
        #expect(try jobs(new, server) == 1 && jobs(replica, server) == 1)
        let third = try server.send("POST", "/api/jobs", body, headers: key)
        #expect(third.status == 201 && third.json?["id"]?.text == again.json?["id"]?.text)
        #expect(try jobs(new, server) == 1)
    }

    @Test func aPromotedReplicaThatHasItIsAskedAgain() async throws {
        let old = try primary()
        let middle = try await replica(of: old)
        let last = try await replica(of: middle)
        let port = try SwitchedPort(old)
        let server = try JobServer(url: port.url, works: false)
        port.lead(to: middle)
        let answer = try server.send("POST", "/api/jobs", body, headers: key)
        #expect(answer.status == 503 && answer.text.contains("may stand"), "\(answer.text)")
        #expect(try await eventually { try jobs(middle, server) == 1 })
        try middle.redis("REPLICAOF", "NO", "ONE")
        try cut(old)
        #expect(try await eventually { try server.send("POST", "/api/jobs", body, headers: key).status == 201 })
        #expect(try jobs(middle, server) == 1, "it is the first one's")
        #expect(try await eventually { try jobs(last, server) == 1 })
    }

    @Test func whoLosesItsMastershipMeanwhilePromisesNothing() async throws {
        let (old, other) = (try primary(), try primary())
        let replica = try await replica(of: old)
        let server = try JobServer(old, works: false)
        replica.pause()
        let client = try server.server.connect()
        try client.send([HTTPConnection.encode("POST", "/api/jobs", body: body)])
        // Without suspending, since the wait lasts a second.
        #expect(try blockingUntil { try old.redis("INFO", "clients").contains("blocked_clients:1\r") })
        // A master again at once, under another name; and its replica comes to itself.
        try old.redis("REPLICAOF", "127.0.0.1", String(other.port!))
        try old.redis("REPLICAOF", "NO", "ONE")
        replica.resume()
        #expect(try client.receive().status == 503)
        #expect(try await eventually { try server.send("POST", "/api/jobs", body).status == 201 })
    }

    @Test func whatAsksTogetherWaitsTogether() async throws {
        let old = try primary()
        let replica = try await replica(of: old)
        let server = try JobServer(old, works: false)
        #expect(try server.send("POST", "/api/jobs", body).status == 201)
        try old.redis("CONFIG", "RESETSTAT")
        replica.pause()
        let clients = try (0..<12).map { _ in try server.server.connect() }
        for client in clients { try client.send([HTTPConnection.encode("POST", "/api/jobs", body: body)]) }
        #expect(try await eventually { try jobs(old, server) == 13 })
        replica.resume()
        let statuses = try clients.map { try $0.receive().status }
        #expect(statuses.allSatisfy { $0 == 201 || $0 == 503 })
        let stats = try old.redis("INFO", "commandstats").split(whereSeparator: \.isNewline)
        let waits = stats.first { $0.hasPrefix("cmdstat_wait:") }?.split(separator: ",").first?.split(separator: "=")
            .last
        #expect((waits.flatMap { Int($0) } ?? 0) <= 4, "\(stats)")
        #expect(try server.send("POST", "/api/jobs", body).status == 201)
    }

    @Test func howManyReplicasIsASetting() async throws {
        let old = try primary()
        let first = try await replica(of: old)
        let server = try JobServer(old, works: false, settings: ["wait-replicas": "2"])
        #expect(try server.send("POST", "/api/jobs", body).status == 503)
        let second = try RedisServer(
            options: .init(arguments: ["--replicaof", "127.0.0.1", String(old.port!)], listensOnTCP: true))
        #expect(
            try await eventually {
                try old.redis("INFO", "replication").components(of: "state=online") == 2
            })
        #expect(try await eventually { try server.send("POST", "/api/jobs", body).status == 201 })
        withExtendedLifetime((first, second)) {}
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}

/// A port of the loopback that leads to one Redis, and from a moment on to another: connections that stand stay.
private final class SwitchedPort: Sendable {
    private let path: Shared<String>
    private let peer: ScriptedPeer

    var url: String { "redis://127.0.0.1:\(peer.port)" }

    init(_ redis: RedisServer) throws {
        let path = Shared(redis.socketPath)
        self.path = path
        peer = try ScriptedPeer { client, _ in
            try SwitchedPort.carry(client, BlockingSocket(.unix(path: path.withLock { $0 })))
        }
    }

    func lead(to redis: RedisServer) { path.withLock { $0 = redis.socketPath } }

    private static func carry(_ client: BlockingSocket, _ server: BlockingSocket) throws {
        var sides = [client, server].map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while poll(&sides, 2, -1) > 0 {
            for (i, other) in [server, client].enumerated() where sides[i].revents != 0 {
                let count = read(sides[i].fd, &bytes, bytes.count)
                guard count > 0 else { return }
                try other.send(Array(bytes[..<count]))
            }
        }
    }
}

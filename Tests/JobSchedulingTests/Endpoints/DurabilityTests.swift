import JSON
import TestSupport
import Testing

/// How safe a job is before its creation is answered.
struct DurabilityTests {
    private func body(_ durability: String) -> String {
        #"{"name":"a","type":"simulated","durability":"\#(durability)"}"#
    }

    private func ready(_ server: JobServer) throws -> Int { try server.figures()["ready"]?.number ?? -1 }

    @Test func replicatedMeansThatAReplicaHasIt() async throws {
        let primary = try RedisServer(options: .init(listensOnTCP: true))
        let server = try JobServer(primary, works: false)
        #expect(try server.send("POST", "/api/jobs", body("replicated")).status == 503)
        #expect(try ready(server) == 1, "it is stored all the same")
        let replica = try RedisServer(options: .init(arguments: ["--replicaof", "127.0.0.1", String(primary.port!)]))
        #expect(try await eventually { try primary.redis("INFO", "replication").contains("state=online") })
        let id = try server.create(body("replicated"))
        let key = "\(server.server.prefix)jobs:{default}:job:\(id.split(separator: "-").last!)"
        #expect(try replica.redis("HGET", key, "name") == "a")
        // A replica that says nothing has it not, as far as anybody knows.
        replica.pause()
        #expect(try server.send("POST", "/api/jobs", body("replicated")).status == 503)
        #expect(try server.send("POST", "/api/jobs", body("memory")).status == 201)
        replica.resume()
        let bulk = #"{"jobs":[\#(body("memory")),\#(body("replicated"))]}"#
        #expect(try server.send("POST", "/api/jobs/bulk", bulk).status == 201)
    }

    @Test func fsyncIsRefusedWhereNobodyCanPromiseIt() throws {
        let server = try JobServer(works: false)
        try server.create(body("memory"))
        let calls = [
            ("/api/jobs", body("fsync")), ("/api/jobs/bulk", #"{"jobs":[\#(body("memory")),\#(body("fsync"))]}"#),
            ("/api/batches", #"{"jobs":[\#(body("fsync"))]}"#),
        ]
        for (path, body) in calls {
            let answer = try server.send("POST", path, body)
            #expect(answer.status == 422 && answer.json?["field"]?.text == "durability", "\(path): \(answer.text)")
        }
        #expect(try ready(server) == 1, "nothing else is stored")
    }

    @Test func fsyncIsWhatTheFileHas() throws {
        let always = try RedisServer(options: .init(isPersistent: true))
        // Before 7.2 it has to be looked at, which deploy/redis/users.acl lets nobody do.
        try always.redis("ACL", "SETUSER", "server", "+config|get")
        #expect(try JobServer(always, works: false).send("POST", "/api/jobs", body("fsync")).status == 201)
        let lazy = try RedisServer(options: .init(arguments: ["--appendfsync", "everysec"], isPersistent: true))
        let info = try lazy.redis("INFO", "server").split(whereSeparator: \.isNewline)
        let version = info.first { $0.hasPrefix("redis_version:") }?.split(separator: ":").last ?? ""
        let parts = version.split(separator: ".").compactMap { Int($0) }
        let canWait = parts.count > 1 && (parts[0] > 7 || parts[0] == 7 && parts[1] >= 2)
        let answer = try JobServer(lazy, works: false).send("POST", "/api/jobs", body("fsync"))
        #expect(answer.status == (canWait ? 201 : 422), "\(version): \(answer.text)")
    }

    @Test func aUserWithoutConfigIsToldWhatIsMissing() throws {
        let redis = try RedisServer(options: .init(isPersistent: true))
        for user in ["default", "server"] { try redis.redis("ACL", "SETUSER", user, "-config") }
        let server = try JobServer(redis, works: false)
        let answer = try server.send("POST", "/api/jobs", body("fsync"))
        // From 7.2 on nobody has to look: a wait is for the file itself.
        #expect(answer.status == 201 || answer.status == 422 && answer.text.contains("CONFIG GET"), "\(answer.text)")
        #expect(try server.send("POST", "/api/jobs", body("memory")).status == 201)
    }
}

import EventLoops
import Glibc
import TestSupport
import Testing

/// The Redis configuration that deploy/redis gives to others, and who may do what there.
extension Fleet {
    @Suite(.serialized) struct RedisFilesTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        @Test func redisRunsAsItsFilesSay() async throws {
            let redis = try await server()
            for (setting, value) in [
                ("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "everysec"),
                ("hash-max-listpack-value", "1024"), ("min-replicas-to-write", "1"), ("min-replicas-max-lag", "2"),
                ("masteruser", "replica"),
            ] {
                #expect(try redis.connect(as: nil).command(["CONFIG", "GET", setting]).elements.last?.text == value)
            }
        }

        @Test func aNodeOfAClusterRunsAsItsFilesSay() async throws {
            let port = try freePort()
            let redis = try await server(
                "include \(Tree.root)/deploy/redis/cluster.conf", "port \(port)", "cluster-port \(try freePort())")
            let info = try redis.connect(as: nil).command(["CLUSTER", "INFO"]).text
            #expect(info.contains("cluster_enabled:1") || info.contains("cluster_state"))
            #expect(
                try redis.connect(as: nil).command(["CONFIG", "GET", "cluster-require-full-coverage"]).elements.last?
                    .text
                    == "no")
        }

        @Test func sentinelTakesItsFile() async throws {
            let port = try freePort()
            let lines = try Tree.text("deploy/redis/sentinel.conf").replacing("port 26379", with: "port \(port)")
                .replacing("dir /var/lib/redis", with: "dir \(folder.path)")
            try Tree.write(lines, to: folder.path + "/sentinel.conf")
            let sentinel = try ChildProcess(
                ["redis-server", folder.path + "/sentinel.conf", "--sentinel"], output: folder.path + "/sentinel.log")
            defer { sentinel.kill() }
            #expect(
                await eventually {
                    let connection = try? RESPConnection(.tcp(host: "127.0.0.1", port: port))
                    let master = try? connection?.command(["SENTINEL", "MASTER", "quartermaster"])
                    return master?.elements.contains(.text("quorum")) == true || sentinel.hasEnded
                })
            #expect(!sentinel.hasEnded, "\((try? Tree.read(folder.path + "/sentinel.log")) ?? "")")
        }

        /// Each user may do its work, and what is nobody's business here is refused.
        @Test(arguments: [
            ("server", ["SET", "qm:{a}", "1"], true), ("server", ["GET", "other"], false),
            ("server", ["FLUSHALL"], false), ("server", ["KEYS", "*"], false),
            ("server", ["CONFIG", "GET", "masterauth"], false), ("worker", ["CONFIG", "GET", "masterauth"], false),
            ("server", ["CONFIG", "GET", "appendfsync"], false), ("worker", ["ACL", "GETUSER", "server"], false),
            ("server", ["CONFIG", "SET", "maxmemory", "1"], false), ("server", ["DEBUG", "SLEEP", "0"], false),
            ("server", ["SHUTDOWN"], false), ("server", ["ACL", "LIST"], false),
            ("server", ["SCRIPT", "FLUSH"], false),
            ("server", ["PUBLISH", "other", "1"], false), ("server", ["PUBLISH", "qm:x", "1"], true),
            ("server", ["EVAL", "return redis.call('GET', 'other')", "0"], false),
            ("server", ["EVAL", "return redis.call('KEYS', '*')", "0"], false),
            ("worker", ["HSET", "qm:jobs:{default}:totals", "x", "1"], true),
            ("worker", ["HSET", "qm:stock:{SKU-1}", "warehouse-1:quantity", "9"], false),
            ("worker", ["HGET", "qm:ratelimit:{rules}:rules", "api"], false),
            ("worker", ["SET", "qm:idem:{rules}:0", "0 201 {}"], false), ("worker", ["GET", "qm:idem:{0}"], false),
            // The audit log grows, and that is all anybody here may do to it.
            ("worker", ["XADD", "qm:audit", "MAXLEN", "~", "10000", "*", "who", "-"], true),
            ("worker", ["DEL", "qm:audit"], false), ("worker", ["UNLINK", "qm:audit"], false),
            ("worker", ["SET", "qm:audit", "x"], false), ("worker", ["PEXPIRE", "qm:audit", "1"], false),
            ("worker", ["XREVRANGE", "qm:audit", "+", "-"], false),
            ("worker", ["EVAL", "return redis.call('DEL', KEYS[1])", "1", "qm:audit"], false),
            ("server", ["XADD", "qm:audit", "MAXLEN", "~", "10000", "*", "who", "-"], true),
            ("server", ["XREVRANGE", "qm:audit", "+", "-"], true), ("server", ["DEL", "qm:audit"], false),
            ("server", ["SET", "qm:audit", "x"], false), ("server", ["XTRIM", "qm:audit", "MAXLEN", "0"], false),
            ("server", ["EVAL", "return redis.call('DEL', KEYS[1])", "1", "qm:audit"], false),
            ("server", ["HGET", "qm:alert:{SKU-1}:warehouse-1", "level"], true),
            ("server", ["HGET", "qm:{stock-events}", "x"], true),
            ("operator", ["XREVRANGE", "qm:audit", "+", "-"], true),
            ("operator", ["GET", "qm:{a}"], true), ("operator", ["SET", "qm:{a}", "2"], false),
            ("operator", ["HGETALL", "qm:warehouses"], true), ("operator", ["EVAL", "return 1", "0"], false),
            ("operator", ["GET", "other"], false), ("operator", ["SLOWLOG", "GET", "1"], true),
            ("operator", ["CONFIG", "GET", "masterauth"], false),
            ("replica", ["REPLCONF", "capa", "eof"], true), ("replica", ["GET", "qm:{a}"], false),
            ("sentinel", ["INFO"], true), ("sentinel", ["GET", "qm:{a}"], false),
            ("sentinel", ["PUBLISH", "__sentinel__:hello", "x"], true),
        ])
        func usersMayWhatTheyNeed(_ user: String, _ words: [String], _ isAllowed: Bool) async throws {
            let redis = try await server("min-replicas-to-write 0")
            let reply = try redis.connect(as: user).exchange(words)
            var isRefused = false
            // Redis says it in several ways, and in another one from within a script.
            let ways = ["NOPERM", "can't run this", "can't access", "not allowed"]
            if case .error(let text) = reply { isRefused = ways.contains { text.contains($0) } }
            #expect(isRefused == !isAllowed, "\(reply)")
        }

        @Test func withoutAPasswordNobodyIsLetIn() async throws {
            let redis = try await server()
            for user in ["server", "worker", "operator", "replica", "sentinel", "default"] {
                let connection = try RESPConnection(.unix(path: redis.socketPath))
                guard case .error(let text) = try connection.exchange(["AUTH", user, ""]) else {
                    Issue.record("\(user) was let in")
                    continue
                }
                #expect(text.contains("WRONGPASS"))
            }
        }

        /// What `server` may do is what our scripts and our Swift say: no command is missing, none is left over.
        @Test func theServersCommandsAreThoseInUse() async throws {
            let line = try #require(
                try Tree.text("deploy/redis/users.acl").split(separator: "\n").first { $0.hasPrefix("user server ") })
            let allowed = Set(
                line.split(separator: " ").filter { $0.hasPrefix("+") }.map { $0.dropFirst().split(separator: "|")[0] }
                    .map(String.init))
            let called = try await words(#"\bcall\(\s*['"][A-Za-z]+['"]"#, in: "lua")
            #expect(called.count > 40)
            #expect(called.subtracting(allowed).sorted() == [])
            let quoted = try await words(#"['"][A-Z]{3,}['"]"#, in: "lua", "Sources")
            #expect(allowed.subtracting(quoted).subtracting(["evalsha"]).sorted() == [])
        }

        // MARK: Inside

        /// The quoted words of what matches, in small letters.
        private func words(_ pattern: String, in folders: String...) async throws -> Set<String> {
            let found = try await Tool.run(["grep", "-rhoE", pattern] + folders)
            return Set(
                found.output.split(separator: "\n").compactMap { line in
                    line.split(whereSeparator: { $0 == "'" || $0 == "\"" }).last { $0.allSatisfy(\.isLetter) }
                }.map { $0.lowercased() })
        }

        /// A server by redis.conf and by users that `make-users` made.
        private func server(_ lines: String...) async throws -> ConfiguredRedis {
            let users = try await Tool.run("deploy/redis/make-users", folder.path + "/users")
            guard users.code == 0 else { throw SetUpFailure(users.said) }
            return try await ConfiguredRedis(folder.path, lines)
        }
    }
}

/// A redis-server by deploy/redis/redis.conf, on a unix socket.
private final class ConfiguredRedis {
    let socketPath: String
    private let folder: String
    private let process: ChildProcess

    init(_ folder: String, _ lines: [String]) async throws {
        (self.folder, socketPath) = (folder, folder + "/redis.sock")
        let own = [
            "include \(Tree.root)/deploy/redis/redis.conf", "port 0", "unixsocket \(socketPath)", "dir \(folder)",
            "aclfile \(folder)/users/users.acl",
        ]
        try Tree.write((own + lines).joined(separator: "\n") + "\n", to: folder + "/redis.conf")
        // Beside those of the file: who may look at everything.
        let acl = folder + "/users/users.acl"
        try Tree.write(try Tree.read(acl) + "user root on >geheim ~* &* +@all\n", to: acl)
        process = try ChildProcess(["redis-server", folder + "/redis.conf"], output: folder + "/redis.log")
        let isUp = await eventually { process.hasEnded || (try? connect(as: nil)) != nil }
        guard isUp, !process.hasEnded else { throw SetUpFailure(try Tree.read(folder + "/redis.log")) }
    }

    deinit { process.kill() }

    /// - Parameter user: of the file; nil: one who may do everything.
    func connect(as user: String?) throws -> RESPConnection {
        let connection = try RESPConnection(.unix(path: socketPath))
        let password =
            try user.map { try Tree.read(folder + "/users/\($0).password").filter { $0 != "\n" } } ?? "geheim"
        try connection.command(["AUTH", user ?? "root", password])
        return connection
    }
}

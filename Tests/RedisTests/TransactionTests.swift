import EventLoops
import Glibc
import TestSupport
import Testing

@testable import Redis

/// The four ways in which EXEC ends, each by a real cause.
@Suite struct TransactionTests {
    /// Watches `k`, reads it, lets `meanwhile` happen, and sets it to one more.
    private func increment(
        _ client: Client, _ key: String, budgetUs: Int64 = longestWaitUs,
        meanwhile: @escaping @Sendable (_ connection: String) async throws -> Void = { _ in }
    ) async throws -> ExecOutcome {
        try await client.run {
            try await $0.transaction(key: key, budgetUs: budgetUs) { transaction in
                try await transaction.watch([key])
                let value = try await transaction.send(["GET", key]).int ?? 0
                let id = try await transaction.send(["CLIENT", "ID"]).int ?? 0
                try await meanwhile(String(id))
                transaction.queue(["SET", key, String(value + 1)])
                transaction.queue(["GET", key])
                return await transaction.exec()
            }
        }
    }

    @Test func done() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        for i in 1...3 {
            #expect(try await increment(client, key) == .done([.status("OK"), .bytes(Array("\(i)".utf8))]))
        }
        #expect(try server.redis("GET", key) == "3")
    }

    @Test func conflict() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let outcome = try await increment(client, key) { _ in try server.redis("SET", key, "7") }
        #expect(outcome == .conflict)
        #expect(try server.redis("GET", key) == "7")
        #expect(try await increment(client, key) == .done([.status("OK"), .bytes(Array("8".utf8))]))
    }

    /// EXECABORT: one of the commands could not be queued.
    @Test func rejected() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let outcome = try await client.run {
            try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                transaction.queue(["SET", key, "1"])
                transaction.queue(["SET", key])
                return await transaction.exec()
            }
        }
        #expect(
            outcome
                == .rejected(.server(code: "ERR", message: "ERR wrong number of arguments for 'set' command")))
        #expect(try server.redis("EXISTS", key) == "0")
        #expect(try await increment(client, key) == .done([.status("OK"), .bytes(Array("1".utf8))]))
    }

    /// A user who may not MULTI: what was queued has been performed, so it must not pass for rejected.
    @Test func multiRefused() async throws {
        let server = try RedisServer.shared
        let key = server.prefix() + "k"
        let user = "u" + key.split(separator: ":")[0]
        try server.redis("ACL", "SETUSER", user, "on", ">p", "~*", "+@all", "-multi")
        let client = try await Client.connect("unix://\(user):p@\(server.socketPath)")
        #expect(try await increment(client, key) == .unknown)
        #expect(try server.redis("GET", key) == "1")
    }

    @Test func anErrorInsideIsAReplyLikeOthers() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let outcome = try await client.run {
            try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                transaction.queue(["SET", key, "x"])
                transaction.queue(["INCR", key])
                return await transaction.exec()
            }
        }
        guard case .done(let replies) = outcome, replies.count == 2, case .error(.server("ERR", _)) = replies[1] else {
            Issue.record("\(outcome)")
            return
        }
    }

    /// The connection is gone before EXEC is sent: surely nothing was done.
    @Test func goneBeforeExec() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let outcome = try await increment(client, key) { id in
            try server.redis("CLIENT", "KILL", "ID", id)
            // Until the loop has noticed.
            try await Task.sleep(nanoseconds: 50_000_000)
        }
        #expect(outcome == .rejected(.unavailable))
        #expect(try server.redis("EXISTS", key) == "0")
    }

    /// The connection is lost while EXEC is on its way.
    @Test func unknownByAKilledConnection() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let outcome = try await increment(client, "k") { id in
            // Redis holds back all writes, so that EXEC waits to be killed.
            try server.redis("CLIENT", "PAUSE", "30000", "WRITE")
            Threads.start("killer") {
                for _ in 0..<3000 where (try? server.redis("INFO", "clients").contains("blocked_clients:1")) != true {
                    usleep(10_000)
                }
                _ = try? server.redis("CLIENT", "KILL", "ID", id)
                _ = try? server.redis("CLIENT", "UNPAUSE")
            }
        }
        #expect(outcome == .unknown)
    }

    /// Redis is silent after EXEC was sent, and performs it later.
    @Test func unknownByAPausedServer() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let outcome = try await increment(client, "k", budgetUs: 300_000) { _ in server.pause() }
        #expect(outcome == .unknown)
        server.resume()
        // Done or not, the next one gets a connection of its own and a clean answer.
        guard case .done = try await increment(client, "k") else {
            Issue.record("not done")
            return
        }
    }

    /// A watch that is not needed any more is ended before the connection serves the next transaction.
    @Test func unwatchedBeforeReuse() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let first = try await client.run {
            try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                try await transaction.watch([key])
                return try await transaction.send(["CLIENT", "ID"]).int
            }
        }
        try server.redis("SET", key, "1")
        let (outcome, second) = try await client.run {
            try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                let id = try await transaction.send(["CLIENT", "ID"]).int
                transaction.queue(["INCR", key])
                return (await transaction.exec(), id)
            }
        }
        #expect(first == second)
        #expect(outcome == .done([.integer(2)]))
    }

    private struct Refused: Error {}

    /// Whatever goes wrong, by Redis or by the caller, the connection serves nobody else.
    @Test(arguments: [0, 1, 2, 3]) func anyErrorClosesTheConnection(_ kind: Int) async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        try server.redis("SET", key, "text")
        let ids = Journal<Int>()
        func transact(_ fails: Bool) async throws {
            try await client.run {
                try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                    ids.add(try await transaction.send(["CLIENT", "ID"]).int ?? 0)
                    try await transaction.watch([key])
                    guard fails else { return }
                    switch kind {
                    case 0: throw Refused()
                    case 1: _ = try await transaction.send(["INCR", key])
                    case 2: _ = try? await transaction.send(["INCR", key])
                    default:
                        transaction.queue(["NONSENSE"])
                        _ = await transaction.exec()
                    }
                }
            }
        }
        try? await transact(true)
        try await transact(false)
        try await transact(false)
        let all = ids.all
        #expect(all.count == 3 && all[0] != all[1] && all[1] == all[2])
        #expect(
            await eventually {
                (try? server.redis("CLIENT", "LIST", "ID", String(all[0])))?.isEmpty == true
            })
    }

    /// After an error nothing is executed: the watch may not stand.
    @Test func nothingIsExecutedAfterAnError() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let outcome = try await client.run {
            try await $0.transaction(key: key, budgetUs: longestWaitUs) { transaction in
                _ = try? await transaction.send(["WATCH"])
                transaction.queue(["SET", key, "1"])
                return await transaction.exec()
            }
        }
        guard case .rejected(.server) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try server.redis("EXISTS", key) == "0")
    }

    /// Many at once on one key: each success is one step, none is lost, and each has a connection of its own.
    @Test func racingTransactionsLoseNothing() async throws {
        let server = try RedisServer.shared
        let client = try await Client.connect(server.url)
        let key = server.prefix() + "k"
        let done = Journal<ExecOutcome>()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<20 {
                        while true {
                            let outcome = try await increment(client, key)
                            if case .done = outcome {
                                done.add(outcome)
                                break
                            }
                            #expect(outcome == .conflict)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(done.count == 160)
        #expect(try server.redis("GET", key) == "160")
    }

    @Test func noRedis() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        server.kill()
        await #expect(throws: RedisError.unavailable) { try await increment(client, "k", budgetUs: 50_000) }
    }
}

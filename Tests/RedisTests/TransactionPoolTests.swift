import TestSupport
import Testing

@testable import Redis

/// How many connections transactions take, and what becomes of those that find none.
@Suite struct TransactionPoolTests {
    @Test func moreTransactionsThanConnections() async throws {
        // Room for the bound and for as many whose end Redis has not noticed yet, but not for one each.
        let most = String(2 * TransactionPool.mostLeased)
        let server = try RedisServer(options: RedisServer.Options(arguments: ["--maxclients", most]))
        let client = try await Client.connect(server.url)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 * TransactionPool.mostLeased {
                group.addTask {
                    let outcome = try await client.run {
                        try await $0.transaction(key: "k", budgetUs: longestWaitUs) { transaction in
                            _ = try await transaction.send(["PING"])
                            transaction.queue(["INCR", "k"])
                            return await transaction.exec()
                        }
                    }
                    if case .done = outcome {} else { Issue.record("\(outcome)") }
                }
            }
            try await group.waitForAll()
        }
        #expect(try server.redis("GET", "k") == String(3 * TransactionPool.mostLeased))
        #expect(try server.redis("INFO", "stats").contains("rejected_connections:0\r\n"))
    }

    @Test func whoGetsNoneInTimeIsOverloaded() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let (refused, next) = try await client.run { client in
            let held = try await Held(client)
            let refused = await #expect(throws: RedisError.self) {
                try await client.transaction(key: "k", budgetUs: 20_000) { _ in }
            }
            held.giveBackOne()
            // The lease that came back is there for the next.
            let next = try await client.transaction(key: "k", budgetUs: longestWaitUs) { try await $0.send(["PING"]) }
            held.endAll()
            return (refused, next)
        }
        #expect(refused == .overloaded)
        #expect(next == .status("PONG"))
    }

    @Test func aLeaseThatComesBackGoesToWhoWaited() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let answered = try await client.run { client in
            let held = try await Held(client)
            let timer = client.loop.after(us: 20_000) { held.giveBackOne() }
            let reply = try await client.transaction(key: "k", budgetUs: longestWaitUs) { try await $0.send(["PING"]) }
            withExtendedLifetime(timer) { held.endAll() }
            // Every lease has ended: as many can be had again.
            let again = try await Held(client)
            again.endAll()
            return reply
        }
        #expect(answered == .status("PONG"))
    }

    @Test func closingFailsWhoWaits() async throws {
        let server = try RedisServer()
        let client = try await Client.connect(server.url)
        let failed = try await client.run { client in
            let held = try await Held(client)
            let timer = client.loop.after(us: 20_000) { client.pool.close() }
            let failed = await #expect(throws: RedisError.self) {
                try await client.transaction(key: "k", budgetUs: longestWaitUs) { _ in }
            }
            withExtendedLifetime(timer) { held.endAll() }
            return failed
        }
        #expect(failed == .unavailable)
    }

    /// All the leases there are.
    private final class Held {
        private let pool: TransactionPool
        private var connectors: [RedisConnector] = []

        init(_ client: RedisClient) async throws {
            pool = client.pool
            for _ in 0..<TransactionPool.mostLeased {
                connectors.append(try await pool.lease(deadlineUs: client.loop.nowUs + longestWaitUs).0)
            }
        }

        func giveBackOne() { pool.giveBack(connectors.removeLast()) }

        func endAll() {
            for connector in connectors { pool.end(connector) }
            connectors = []
        }
    }
}

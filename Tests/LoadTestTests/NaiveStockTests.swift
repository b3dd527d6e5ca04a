import EventLoops
import Redis
import TestSupport
import Testing

@testable import LoadTest

/// The naive loop, against a real Redis: what it says it has reserved is what Redis has.
struct NaiveStockTests {
    @Test func everySuccessIsInRedisOnce() async throws {
        let server = try RedisServer()
        try fill(server, "bench-1", quantity: 1000)
        // More connections than one client leases.
        let result = try await run(server, "--sku bench-1 --connections 66 --requests 80 --duration 60 --warm-up 0")
        #expect(result.isGood, "\(result.report)")
        #expect(result.requests == 80)
        #expect(try server.redis("HGET", "qm:stock:{bench-1}", "warehouse-1:reserved") == "80")
        #expect(try server.redis("HGET", "qm:stock:{bench-1}", "version") == "81")
        #expect(try server.redis("ZCARD", "qm:expiry:{bench-1}") == "80")
        #expect(try server.redis("XLEN", "qm:ledger:{bench-1}") == "80")
        // The stock, the expiry, the ledger, and the holds.
        #expect(try server.redis("DBSIZE") == "83")
        // Sixty-six at once on one key cannot all be first.
        #expect(try #require(result.attemptsPerRequest) > 1)
        #expect(result.latency != nil)
    }

    @Test func countsOnlyWhatWasDoneInTime() async throws {
        let server = try RedisServer()
        try fill(server, "bench-1", quantity: 100_000_000)
        let result = try await run(server, "--sku bench-1 --connections 4 --duration 0.2 --warm-up 0.1")
        #expect(result.isGood, "\(result.report)")
        #expect(result.durationUs >= 200_000)
        let reserved = try #require(Int(try server.redis("HGET", "qm:stock:{bench-1}", "warehouse-1:reserved")))
        #expect(reserved > result.requests)
        #expect(try server.redis("XLEN", "qm:ledger:{bench-1}") == String(reserved))
        #expect(result.server?.residentKiB ?? 0 > 0)
    }

    @Test func neverReservesMoreThanThereIs() async throws {
        let server = try RedisServer()
        try fill(server, "bench-1", quantity: 30)
        let result = try await run(server, "--sku bench-1 --connections 16 --duration 60 --warm-up 0")
        #expect(result.failure?.contains("sold out") == true, "\(result.report)")
        #expect(try server.redis("HGET", "qm:stock:{bench-1}", "warehouse-1:reserved") == "30")
        #expect(try server.redis("XLEN", "qm:ledger:{bench-1}") == "30")
    }

    @Test func noStockIsAFailure() async throws {
        let server = try RedisServer()
        let result = try await run(server, "--sku nothing --connections 2 --duration 60")
        #expect(result.failure == "there is no stock of nothing in warehouse-1")
        #expect(try server.redis("DBSIZE") == "0")
    }

    // MARK: The command line

    @Test func readsACommandLine() throws {
        let line = "naive-stock --redis unix:///tmp/r.sock --connections 8 --duration 0.5 --warm-up 0 --sku a --json"
        let words = (line + " --requests 5 --redis-pid 7 --label l --grace 2").split(separator: " ").map(String.init)
        guard case .naiveStock(let options) = try Command.parse(words) else {
            throw UsageError(description: "no such run")
        }
        #expect(options.redis.topology == .one(.unix(path: "/tmp/r.sock")))
        #expect(options.connections == 8)
        #expect(options.durationUs == 500_000)
        #expect(options.warmUpUs == 0)
        #expect(options.graceUs == 2_000_000)
        #expect(options.sku == "a")
        #expect(options.maxRequests == 5)
        #expect(options.redisPID == 7)
        #expect(options.label == "l")
        #expect(options.printsJSON)
    }

    @Test func readsTheSetUp() throws {
        let target = try #require(Target(url: "http://127.0.0.1:8080"))
        let words = ["setup-stock", "--url", "http://127.0.0.1:8080", "--keys", "7"]
        #expect(try Command.parse(words) == .setupStock(target, token: nil, keys: 7))
    }

    @Test(arguments: [
        ("naive-stock", "--redis is missing"),
        ("naive-stock --redis http://127.0.0.1", "--redis must begin with redis://"),
        ("naive-stock --redis redis://192.0.2.1", "a loopback address, not 192.0.2.1"),
        ("naive-stock --redis redis://127.0.0.1 --connections 0", "--connections is an integer from 1"),
        ("naive-stock --redis redis://127.0.0.1 --sku a}b", "--sku has only"),
        ("naive-stock --redis redis://127.0.0.1 --keys 3", "--keys is no option"),
        ("setup-stock --keys 3", "--url is missing"),
        ("setup-stock --url http://127.0.0.1:1 --keys 0", "--keys is an integer from 1"),
    ])
    func refusesByName(_ line: String, _ words: String) {
        let error = #expect(throws: UsageError.self) {
            try Command.parse(line.split(separator: " ").map(String.init))
        }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "accepted")")
    }

    // MARK: Inside

    private func fill(_ server: RedisServer, _ sku: String, quantity: Int) throws {
        try server.redis(
            "HSET", "qm:stock:{\(sku)}", "product", "p", "version", "1", "warehouse-1:quantity", "\(quantity)",
            "warehouse-1:reserved", "0")
    }

    private func run(_ server: RedisServer, _ line: String) async throws -> RunResult {
        let words = ["naive-stock", "--redis", server.url] + line.split(separator: " ").map(String.init)
        guard case .naiveStock(let options) = try Command.parse(words) else { throw UsageError(description: "") }
        return await withUnsafeContinuation { continuation in
            Threads.start("naive-stock") {
                let loop = EventLoop()
                let run = NaiveStockRun(loop: loop, options: options)
                loop.run { run.start() }
                continuation.resume(returning: run.result)
            }
        }
    }
}

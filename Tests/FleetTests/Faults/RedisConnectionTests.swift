import EventLoops
import Glibc
import JSON
import Synchronization
import TestSupport
import Testing

/// Redis, and what lies between, ends our connections at random while all three services are at work.
extension Fleet {
    @Suite(.serialized) struct RedisConnectionTests {
        /// `QM_FAULT_SECONDS` makes it longer.
        private static var seconds: Int { Environment["QM_FAULT_SECONDS"].flatMap { Int($0) } ?? 12 }

        @Test func connectionsEndUnderEveryLoad() async throws {
            let random = SeededRandom()
            let redis = try RedisServer()
            let proxy = try RedisFaultProxy(
                to: .unix(path: redis.socketPath),
                plan: .seeded(FaultSchedule(seed: random.seed, oneIn: 60, longestUs: 300_000)), listensOnSocket: true)
            let prefix = redis.prefix()
            // One is as near to Redis as can be, so that it learns of an end while it writes; the other ones are behind what
            // fails in more ways.
            let flags = ["--prefix", prefix, "--log-level", "error"]
            let server = try await Replica(
                ["serve", "--redis", redis.url, "--loops", "2", "--check-budget", "1000"] + flags)
            let other = try await Replica(
                ["serve", "--redis", proxy.url, "--loops", "1", "--check-budget", "1000"] + flags)
            let worker = try await Replica(["work", "--redis", proxy.url, "--loops", "1"] + flags)
            for sku in StockStorm.skus {
                let product = #"{"name":"n","sku":"\#(sku)"}"#
                #expect(try server.request("POST", "/api/products", body: product).status == 201)
                for warehouse in 1...2 {
                    let body = #"{"warehouseId":"warehouse-\#(warehouse)","type":"set","quantity":60}"#
                    #expect(try server.request("POST", "/api/inventory/\(sku)/adjust", body: body).status == 200)
                }
            }
            let storm = StockStorm(ports: [server.port, server.port, other.port], clients: 9, seed: random.seed)
            let listeners = Listeners(port: server.port)
            async let killed = Self.fail(redis, proxy, server, random.seed, whileTrue: { !listeners.isOver })
            let load = try await MixedLoad(
                url: server.url, redis: redis.url, seconds: Self.seconds, rate: 80,
                ["--run", "chaos", "--prefix", prefix, "--timeout", "5", "--mix", "40/25/35"],
                calm: {
                    // Whoever looks at Redis afterwards is to be left in peace.
                    proxy.calm()
                    listeners.stop()
                })
            #expect(await storm.end())
            let kills = try await killed
            let told = "seed \(random.seed), \(kills) kills, \(proxy.suffered.count) faults"

            // All processes live, and serve everything again.
            for replica in [server, other, worker] {
                #expect(!replica.program.process.hasEnded, "\(told): \(replica.program.errors)")
            }
            #expect(load.code == 0, "\(told): \(load.output)")
            #expect(storm.wrong == [] && storm.lost == 0, "\(told)")
            #expect(kills > 10 && proxy.suffered.count > 10 && listeners.heard > 0, "\(told)")
            for server in [server, other] {
                let isServing = try await eventually {
                    let check = try server.check(#"{"identifier":"after"}"#)
                    let hold = try server.request(
                        "POST", "/api/reservations", body: #"{"productId":"A","quantity":1,"allocation":"any"}"#)
                    let job = try server.request(
                        "POST", "/api/jobs", body: #"{"name":"after","type":"simulated","config":{"durationMs":1}}"#)
                    return check.status == 200 && check.json?["reason"] != .string("store-unavailable")
                        && [201, 409].contains(hold.status) && job.status == 201
                }
                #expect(isServing, "\(told)")
            }
            // Every hold, transfer and ledger entry adds up to the counters.
            let isClean = try await eventually {
                let report = try server.request("POST", "/api/inventory/reconcile", body: "{}").json
                return report?["drifts"] == .int(0)
            }
            #expect(isClean, "\(told)")
            for id in storm.reservations {
                #expect(try server.request("GET", "/api/reservations/\(id)").status == 200, "\(told): \(id) is gone")
            }
            for replica in [server, other, worker] { #expect(try await replica.program.terminate() == 0) }
            #expect(await listeners.haveEnded())
        }

        /// Once the load has made what it needs, lets the proxy fail and has Redis end all connections, or those of
        /// subscribers, now and then. How often it did.
        private static func fail(
            _ redis: RedisServer, _ proxy: RedisFaultProxy, _ server: Replica, _ seed: UInt64,
            whileTrue goesOn: @escaping @Sendable () -> Bool
        ) async throws -> Int {
            let hasBegun = await eventually {
                let last = try? server.request("GET", "/api/inventory/FLEET-chaos-15?warehouseId=warehouse-1")
                return last?.json?["quantity"] == .int(8)
            }
            guard hasBegun else { throw SetUpFailure("the load has not begun") }
            proxy.begin()
            var random = SeededRandom(seed: seed &+ 7)
            var count = 0
            while goesOn(), !Task.isCancelled {
                try? await Task.sleep(nanoseconds: UInt64(random.int(5...150)) * 1_000_000)
                try redis.redis("CLIENT", "KILL", "TYPE", random.oneIn(4) ? "pubsub" : "normal")
                count += 1
            }
            return count
        }
    }

    /// Those who listen to what all three services tell, and come again when they are cut off.
    private final class Listeners: Sendable {
        private let state = Mutex((isOver: false, heard: 0))
        private let ended = Journal<Int>()
        private static let targets = ["/api/jobs/events", "/api/inventory/events", "/api/rate-limits/events"]

        init(port: Int) {
            for (number, target) in Listeners.targets.enumerated() {
                Threads.start("listener-\(number)") { [self] in
                    while !isOver {
                        guard let connection = try? HTTPConnection(.tcp(host: "127.0.0.1", port: port)),
                            (try? connection.subscribe(target)) != nil
                        else {
                            usleep(20_000)
                            continue
                        }
                        while !isOver, (try? connection.nextEvent()) != nil { state.withLock { $0.heard += 1 } }
                    }
                    ended.add(number)
                }
            }
        }

        var isOver: Bool { state.withLock { $0.isOver } }
        var heard: Int { state.withLock { $0.heard } }

        func stop() { state.withLock { $0.isOver = true } }

        /// They notice with the next event, or when the server ends.
        func haveEnded() async -> Bool { await eventually { ended.count == Listeners.targets.count } }
    }
}

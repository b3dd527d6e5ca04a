import JSON
import TestSupport
import Testing

/// Four replicas behind nginx, and what becomes of clients' work when they go, one after the other.
extension Fleet {
    @Suite(.serialized) struct KilledReplicaTests {
        @Test func everyReplicaIsKilledInTurn() async throws {
            let fleet = try await FleetScript("--replicas", "4", "--workers", "2")
            let faults = (1...4).map { "\($0 * 4 - 2)s kill server-\($0); \($0 * 4)s start server-\($0)" }
            let run = try await MixedLoad(
                on: fleet, seconds: 18, rate: 150,
                faults: (faults + ["7s kill worker-1", "9s start worker-1"]).joined(separator: "; "))
            #expect(run.code == 0, "\(run.output)")
            // A connection that is lost, or nginx saying so, is all that a client may see.
            #expect(run.errors(but: ["lost", "gateway"]) == [:], "\(run.output)")
            #expect(run.unknown == 0, "\(run.output)")
        }

        @Test(arguments: ["nginx", "haproxy"]) func aRollingRestartIsNotNoticed(_ balancer: String) async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "2", "--balancer", balancer)
            let run = try await MixedLoad(
                on: fleet, seconds: 16, rate: 150,
                faults: "1s restart server-1; 1s restart worker-1; 8s restart server-2; 8s restart worker-2")
            #expect(run.code == 0, "\(run.output)")
            #expect(run.errors(but: []) == [:], "\(run.output)")
            #expect(run.unknown == 0)
        }

        /// Redis forgets what it had not written down: a second at most, and nothing is there twice.
        @Test func redisIsKilledAndComesBackFromItsFile() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1")
            let run = try await MixedLoad(
                on: fleet, seconds: 11, rate: 150, faults: "4s kill redis-1; 5s start redis-1")
            #expect(run.code == 0, "\(run.output)")
        }
    }
}

import JSON
import TestSupport
import Testing

/// Masters that die or hang under a mixed load, behind Sentinel and in a cluster.
extension Fleet {
    @Suite(.serialized) struct FailoverTests {
        /// What was acknowledged as replicated is there afterwards, all of it.
        @Test(arguments: ["kill", "pause"]) func nothingReplicatedIsLost(_ fault: String) async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1", "--redis", "sentinel")
            let back = fault == "kill" ? "start" : "resume"
            let run = try await MixedLoad(
                on: fleet, seconds: 18, rate: 120, faults: "3s \(fault) redis-1; 8s \(back) redis-1",
                ["--durability", "replicated"])
            #expect(run.code == 0, "\(run.output)")
            #expect(run.unknown == 0, "\(run.output)")
        }

        /// Without that promise something may be missing; it is counted, and what is there is in order.
        @Test func whatIsLostWithoutAPromiseIsCounted() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1", "--redis", "sentinel")
            let run = try await MixedLoad(
                on: fleet, seconds: 16, rate: 120, faults: "3s kill redis-1; 8s start redis-1")
            #expect(run.code == 0, "\(run.output)")
        }

        /// Slots move and a master dies while everything goes on.
        @Test func aClusterIsReshardedAndLosesAMaster() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1", "--redis", "cluster")
            let run = try await MixedLoad(
                on: fleet, seconds: 24, rate: 120,
                faults: "2s reshard 0-40 redis-2; 6s reshard 10900-10960 redis-1; 12s kill redis-3; 18s start redis-3")
            #expect(run.code == 0, "\(run.output)")
            #expect(!run.output.contains("CROSSSLOT"))
            #expect(run.errors(but: ["503", "timeout", "busy"]) == [:], "\(run.output)")
        }
    }
}

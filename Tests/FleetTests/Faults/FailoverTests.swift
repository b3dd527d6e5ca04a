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
                on: fleet, seconds: 15, rate: 120, faults: "3s \(fault) redis-1; 8s \(back) redis-1",
                ["--durability", "replicated"])
            #expect(run.code == 0, "\(run.output)")
            #expect(run.unknown == 0, "\(run.output)")
        }

        /// Without that promise something may be missing; it is counted, and what is there is in order.
        @Test func whatIsLostWithoutAPromiseIsCounted() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1", "--redis", "sentinel")
            let run = try await MixedLoad(
                on: fleet, seconds: 13, rate: 120, faults: "3s kill redis-1; 8s start redis-1")
            #expect(run.code == 0, "\(run.output)")
        }

        /// Slots move and a master dies while everything goes on.
        @Test func aClusterIsReshardedAndLosesAMaster() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1", "--redis", "cluster")
            let moves = try FailoverTests.slots(of: "moves", fleet).enumerated().map { number, slot in
                "\(number * 2 + 2)s reshard \(slot)-\(slot) redis-\(number % 2 + 1)"
            }
            let run = try await MixedLoad(
                on: fleet, seconds: 26, rate: 120,
                faults: (moves + ["16s kill redis-3", "22s start redis-3"]).joined(separator: "; "),
                ["--run", "moves"])
            #expect(run.code == 0, "\(run.output)")
            #expect(!run.output.contains("CROSSSLOT"))
            #expect(run.errors(but: ["503", "timeout", "busy"]) == [:], "\(run.output)")
        }

        /// The slots of queues and products that a run under this name uses; each is moved to one master and to another, so
        /// that one of the two at least is not where it is.
        private static func slots(of run: String, _ fleet: FleetScript) throws -> [Int] {
            let node = fleet.text("redis").split(separator: "/").last?.split(separator: ",").first
            guard let port = node?.split(separator: ":").last.flatMap({ Int($0) }) else {
                throw SetUpFailure("no cluster: \(fleet.text("redis"))")
            }
            let redis = try RESPConnection(.tcp(host: "127.0.0.1", port: port))
            return try ["{fleet-\(run)-0}", "{FLEET-\(run)-0}", "{FLEET-\(run)-1}"].flatMap { key in
                guard case .integer(let slot) = try redis("CLUSTER", "KEYSLOT", key) else {
                    throw SetUpFailure("no slot of \(key)")
                }
                return [slot, slot]
            }
        }
    }
}

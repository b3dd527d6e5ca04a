import EventLoops
import Glibc
import TestSupport
import Testing

/// deploy/fleet: does to its own processes what it is told, and leaves nothing behind.
extension Fleet {
    @Suite(.serialized) struct FleetScriptTests {
        @Test func aFleetLivesAndLeavesNothing() async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "1")
            let first = try await fleet.processes()
            #expect(first.map(\.name) == ["redis-1", "server-1", "server-2", "worker-1", "balancer"])
            #expect(first.allSatisfy { $0.state == "running" })
            #expect(try fleet.connect().request("GET", "/readyz").status == 200)
            var pids = first.compactMap(\.pid)

            // A second one in the same place is refused, and changes nothing.
            let second = try await fleet("up", "--program", try Tree.executable)
            #expect(second.code == 1 && second.errors.contains("already") && second.output.isEmpty)
            #expect(try await fleet.processes() == first)

            try await fleet("kill", "server-1")
            #expect(try await fleet.process("server-1").state == "dead")
            #expect(try fleet.connect().request("GET", "/readyz").status == 200)
            try await fleet("pause", "server-2")
            #expect(try await fleet.process("server-2").state == "paused")
            try await fleet("resume", "server-2")
            let started = try await fleet("start", "server-1", "--", "--log-level", "warning")
            #expect(started.code == 0, "\(started.said)")
            let again = try await fleet.process("server-1")
            #expect(again.state == "running" && again.port == first[1].port && again.pid != first[1].pid)
            #expect(try await fleet("stop", "worker-1").code == 0)
            #expect(try await fleet.process("worker-1").state == "dead")
            #expect(try await fleet("restart", "worker-1").code == 0)

            // Redis comes again with what it had.
            let rule = #"{"name":"kept","strategy":"token_bucket","limit":5,"window":"1s"}"#
            #expect(try fleet.connect().request("POST", "/api/rate-limits", body: rule).status == 201)
            let aof = try await Tool.run("redis-cli", "-p", String(first[0].port), "config", "get", "appendfsync")
            #expect(aof.output.contains("everysec"))
            #expect(try await fleet("stop", "redis-1").code == 0)
            #expect(try await fleet("start", "redis-1").code == 0)
            #expect(await eventually { (try? fleet.connect().request("GET", "/readyz").status) == 200 })
            #expect(try fleet.connect().request("GET", "/api/rate-limits").text.contains("kept"))

            pids += try await fleet.processes().compactMap(\.pid)
            #expect(try await fleet("down").code == 0)
            for pid in Set(pids) { #expect(!FleetScriptTests.runs(pid), "process \(pid) is left") }
            #expect(try await fleet("status").code == 1)
        }

        @Test func whatIsNotItsOwnIsLeftAlone() async throws {
            let fleet = try await FleetScript("--replicas", "0", "--workers", "0", "--balancer", "none")
            let stranger = try ChildProcess(["sleep", "600"])
            // As if the process had ended and its number had been given to another.
            try Tree.write("\(stranger.pid) 1\n", to: fleet.directory + "/processes/redis-1/pid")
            let redis = try await fleet.process("redis-1")
            #expect(redis.state == "dead")
            try await fleet("kill", "redis-1")
            #expect(!stranger.hasEnded)
            let port = String(redis.port)
            #expect(try await Tool.run("redis-cli", "-p", port, "shutdown", "nosave").code == 0)
            #expect(try await fleet("down").code == 0)
            #expect(!stranger.hasEnded)
        }

        @Test(arguments: [
            ["nonsense"], ["kill"], ["up", "--replicas", "many"], ["up", "--redis", "two"],
            ["up", "--balancer", "apache"],
            ["reshard", "1-2"], ["up", "--nonsense", "1"],
        ])
        func aWrongCommandLineIs64(_ words: [String]) async throws {
            let folder = try TemporaryFolder()
            let tool = try await Tool.run(["deploy/fleet"] + words + ["--dir", folder.path + "/fleet"])
            #expect(tool.code == 64 && tool.output.isEmpty, "\(tool.said)")
        }

        @Test func aFolderOfSomebodyElsesIsNotTaken() async throws {
            let folder = try TemporaryFolder()
            try Tree.write("mine\n", to: folder.path + "/data")
            let up = try await Tool.run(
                ["deploy/fleet", "up", "--dir", folder.path, "--program", try Tree.executable])
            #expect(up.code == 1 && up.errors.contains("a fleet's"))
            #expect(try Tree.read(folder.path + "/data") == "mine\n")
        }

        /// With the users of deploy/redis/users.acl: the master dies, and what was written is at the next one.
        @Test func sentinelsMakeTheReplicaMaster() async throws {
            let fleet = try await FleetScript("--redis", "sentinel", "--acl", "--replicas", "1", "--workers", "1")
            let rule = #"{"name":"kept","strategy":"token_bucket","limit":5,"window":"1s"}"#
            #expect(try fleet.connect().request("POST", "/api/rate-limits", body: rule).status == 201)
            try await fleet("kill", "redis-1")
            #expect(
                await eventually {
                    let answer = try? fleet.connect().request("GET", "/api/rate-limits")
                    return answer?.status == 200 && answer?.text.contains("kept") == true
                })
            let other = #"{"name":"other","strategy":"token_bucket","limit":5,"window":"1s"}"#
            #expect(
                await eventually {
                    (try? fleet.connect().request("POST", "/api/rate-limits", body: other).status) == 201
                })
        }

        /// Slots go from one master to another, and a master dies; with the users of deploy/redis/users.acl.
        @Test func aClusterIsReshardedAndFailsOver() async throws {
            let fleet = try await FleetScript("--redis", "cluster", "--acl", "--replicas", "1", "--workers", "1")
            let job = #"{"name":"hello","type":"simulated","config":{"durationMs":1}}"#
            #expect(try fleet.connect().request("POST", "/api/jobs", body: job).status == 201)
            // The slot of `default`, in which all of the queue is.
            let port = String(try await fleet.process("redis-1").port)
            let password = try Tree.read(fleet.directory + "/users/fleet.password").filter { $0 != "\n" }
            func cli(_ words: String...) async throws -> String {
                try await Tool.run(
                    ["env", "REDISCLI_AUTH=\(password)", "redis-cli", "--user", "fleet", "-p", port] + words
                ).output.filter { $0 != "\n" }
            }
            let slot = try await cli("cluster", "keyslot", "{default}")
            let moved = try await fleet("reshard", slot, "redis-1")
            #expect(moved.code == 0, "\(moved.said)")
            #expect(Int(try await cli("cluster", "countkeysinslot", slot)) ?? 0 > 0)
            #expect(
                await eventually {
                    (try? fleet.connect().request("POST", "/api/jobs", body: job).status) == 201
                })
            try await fleet("kill", "redis-1")
            #expect(
                await eventually {
                    (try? fleet.connect().request("POST", "/api/jobs", body: job).status) == 201
                })
        }

        /// One replica after the other ends and comes again, and no request fails.
        @Test(arguments: ["nginx", "haproxy"]) func aRollingRestartIsNotNoticed(_ balancer: String) async throws {
            let fleet = try await FleetScript("--replicas", "2", "--workers", "0", "--balancer", balancer)
            let ended = Shared(false)
            async let statuses = onThread { () throws -> [Int: Int] in
                var counts: [Int: Int] = [:]
                let connection = try fleet.connect()
                while !ended.withLock({ $0 }) {
                    let answer = try connection.request(
                        "POST", "/api/rate-limits/check", body: #"{"identifier":"ann"}"#)
                    counts[answer.status, default: 0] += 1
                }
                return counts
            }
            defer { ended.withLock { $0 = true } }
            for name in ["server-1", "server-2"] {
                let restart = try await fleet("restart", name)
                #expect(restart.code == 0, "\(restart.said)")
            }
            ended.withLock { $0 = true }
            let counts = try await statuses
            #expect(Array(counts.keys) == [200], "\(counts)")
        }

        private static func runs(_ pid: Int) -> Bool {
            // One that has ended and that nobody has asked for is still listed, as Z.
            guard let line = try? Tree.read("/proc/\(pid)/stat"), let end = line.lastIndex(of: ")") else {
                return false
            }
            return !line[end...].hasPrefix(") Z")
        }
    }
}

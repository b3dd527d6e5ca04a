import EventLoops
import Glibc
import TestSupport
import Testing

/// `dev`: everything in one process, with a Redis of its own in a data directory.
extension Fleet {
    @Suite(.serialized) struct DevTests {
        private let folder: TemporaryFolder
        private var directory: String { folder.path + "/data/inner" }

        init() throws { folder = try TemporaryFolder() }

        private func dev(_ arguments: String...) async throws -> Replica {
            try await Replica(["dev", "--data-dir", directory, "--check-budget", "10000"] + arguments)
        }

        /// Whether the process is there and no zombie.
        private func lives(_ pid: pid_t) -> Bool {
            guard let stat = try? Tree.read("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else {
                return false
            }
            return !stat[end...].hasPrefix(") Z")
        }

        private func redisPid() throws -> pid_t { try #require(knownRedisPid) }

        /// nil while there is none, or the number is just being written.
        private var knownRedisPid: pid_t? {
            (try? Tree.read(directory + "/redis.pid")).flatMap { $0.hasSuffix("\n") ? pid_t($0.dropLast()) : nil }
        }

        private let check = #"{"identifier":"ann"}"#
        private let rule = #"{"name":"five","strategy":"token_bucket","limit":5,"window":"7d"}"#

        @Test func oneLineOnStandardOutputAndHintsBeside() async throws {
            let dev = try await dev("--loops", "2")
            #expect(dev.url.hasPrefix("http://127.0.0.1:"))
            #expect(dev.port > 0)
            #expect(await eventually { dev.program.errors.contains("curl -s \(dev.url)/api/rate-limits") })
            #expect(try dev.request("GET", "/readyz?redis").status == 200)
            #expect(try await dev.program.terminate() == 0)
            #expect(Replica.url(dev.program.output) == dev.url)
        }

        @Test func stateSurvivesACrashAndARestart() async throws {
            let first = try await dev()
            try first.rule(rule)
            for remaining in [4, 3, 2] { #expect(try first.check(check).json?["remaining"] == .int(remaining)) }
            let redis = try redisPid()
            first.program.process.kill()
            #expect(await eventually { !lives(redis) }, "redis-server outlived its parent")

            let second = try await dev()
            #expect(try second.check(check).json?["remaining"] == .int(1))
            #expect(try await second.program.terminate() == 0)

            let third = try await dev()
            #expect(try third.check(check).status == 200)
            #expect(try third.check(check).status == 429)
            #expect(try await third.program.terminate() == 0)
        }

        /// Everything at once: the process and its Redis, which then has left its pid file and its last words.
        @Test func stateSurvivesWhenBothAreKilled() async throws {
            let first = try await dev()
            try first.rule(rule)
            #expect(try first.check(check).status == 200)
            let redis = try redisPid()
            kill(redis, SIGKILL)
            first.program.process.kill()
            #expect(await eventually { !lives(redis) })
            let second = try await dev()
            #expect(try second.check(check).json?["remaining"] == .int(3))
            #expect(try await second.program.terminate() == 0)
        }

        @Test func aSecondOneInTheSameDirectoryIsRefused() async throws {
            let first = try await dev()
            try first.rule(rule)
            let second = try Program(["dev", "--port", "0", "--data-dir", directory])
            #expect(try await second.exitCode() == 69)
            #expect(second.errors.contains(directory))
            #expect(second.output.isEmpty)
            #expect(try first.check(check).status == 200)
            #expect(try await first.program.terminate() == 0)
        }

        @Test func nothingIsLeftBehind() async throws {
            let dev = try await dev()
            let redis = try redisPid()
            #expect(lives(redis))
            #expect(blockingUntil { dev.program.errors.contains("redis-cli -s ") })
            let socket = try #require(dev.program.errors.firstMatch(of: /redis-cli -s (\S+)/)?.1)
            #expect(access(String(socket), F_OK) == 0)
            #expect(try await dev.program.terminate() == 0)
            #expect(!lives(redis))
            #expect(access(String(socket.dropLast("/redis.sock".count)), F_OK) != 0)
        }

        /// A crash cannot tidy up; the next start does.
        @Test func whatACrashLeavesTheNextStartRemoves() async throws {
            let first = try await dev()
            let socket = try #require(first.program.errors.firstMatch(of: /redis-cli -s (\S+)\/redis.sock/)?.1)
            first.program.process.kill()
            let second = try await dev()
            #expect(access(String(socket), F_OK) != 0)
            #expect(try await second.program.terminate() == 0)
        }

        @Test func theDirectoryMayBeRelative() async throws {
            for _ in 0..<2 {
                let program = try Program(
                    ["dev", "--port", "0", "--data-dir", "data/inner"], workingFolder: folder.path)
                #expect(await eventually { Replica.url(program.output) != nil || program.process.hasEnded })
                #expect(try Tree.read(directory + "/redis.log").isEmpty == false)
                #expect(try await program.terminate() == 0)
            }
        }

        /// The pid file of a crash may name a process that has nothing to do with us.
        @Test func anotherRedisServerIsLeftAlone() async throws {
            let stranger = try RedisServer()
            let first = try await dev()
            #expect(try await first.program.terminate() == 0)
            try Tree.write("\(stranger.pid)\n", to: directory + "/redis.pid")
            let second = try await dev()
            #expect(try second.request("GET", "/readyz?redis").status == 200)
            #expect(try stranger.redis("PING") == "PONG")
            #expect(try await second.program.terminate() == 0)
        }

        /// A redis-server that outlived its parent, whatever the reason, holds the files: it is ended first.
        @Test func anOrphanIsEndedFirst() async throws {
            let first = try await dev()
            #expect(try await first.program.terminate() == 0)
            let orphan = try RedisServer(options: .init(arguments: ["--dir", directory]))
            try Tree.write("\(orphan.pid)\n", to: directory + "/redis.pid")
            let second = try await dev()
            #expect(!lives(orphan.pid))
            #expect(try second.request("GET", "/readyz?redis").status == 200)
            #expect(try await second.program.terminate() == 0)
        }

        @Test func serveMayEmbedItsRedisToo() async throws {
            let replica = try await Replica(["serve", "--embedded", "--data-dir", directory])
            #expect(try replica.request("GET", "/readyz?redis").status == 200)
            #expect(try await replica.program.terminate() == 0)
        }

        /// Its files are its owner's alone, whatever the mask was that it was started with.
        @Test func whatItWritesIsNobodyElses() async throws {
            for parent in [folder.path + "/data", directory] { mkdir(parent, 0o755) }
            let dev = try await dev()
            try dev.rule(rule)
            let open = try await Tool.run("find", directory, "-type", "f", "-perm", "/077")
            #expect(open.output.isEmpty, "\(open.said)")
            // A directory that was there before stays as it is, and the log says so.
            #expect(dev.program.errors.contains("chmod 700") && dev.program.errors.contains(directory))
            #expect(try await dev.program.terminate() == 0)
        }

        // MARK: A Redis that dies

        @Test func aRedisThatDiesIsStartedAgain() async throws {
            let dev = try await dev()
            try dev.rule(rule)
            #expect(try dev.check(check).json?["remaining"] == .int(4))
            let first = try redisPid()
            // What it has taken is on disk within a second; what is lost without that is not what this is about.
            try await onDisk(dev)
            kill(first, SIGKILL)
            #expect(
                try await eventually {
                    guard let pid = knownRedisPid, pid != first else { return false }
                    return try dev.request("GET", "/readyz?redis").status == 200
                })
            #expect(try await eventually { try dev.check(check).json?["remaining"] == .int(3) })
            let log = dev.program.errors
            #expect(log.contains("the embedded redis has ended") && log.contains("signal 9"), "\(log)")
            let second = try redisPid()
            #expect(try await dev.program.terminate() == 0)
            #expect(!lives(second))
        }

        @Test func oneThatGoesOnDyingEndsTheProgram() async throws {
            let dev = try await dev("--drain-grace", "0")
            var killed: Set<pid_t> = []
            #expect(
                await eventually {
                    if let pid = knownRedisPid, lives(pid), killed.insert(pid).inserted { kill(pid, SIGKILL) }
                    return dev.program.process.hasEnded
                })
            #expect(try await dev.program.exitCode() == 69)
            #expect(killed.count == 5 && dev.program.errors.contains("ended too often"), "\(dev.program.errors)")
        }

        /// Waits until the embedded Redis has written to disk all that it has taken.
        private func onDisk(_ dev: Replica) async throws {
            let socket = try Tree.read(directory + "/socket").filter { $0 != "\n" }
            let redis = try RESPConnection(.unix(path: socket))
            try redis.command(["CONFIG", "SET", "appendfsync", "always"])
            // Answered once it is written.
            try redis.command(["SET", "on-disk", "1"])
        }

        @Test func aDataDirectoryThatCannotBeMadeIs69() async throws {
            try Tree.write("", to: folder.path + "/file")
            let program = try Program(["dev", "--port", "0", "--data-dir", folder.path + "/file/data"])
            #expect(try await program.exitCode() == 69)
            #expect(program.errors.contains(folder.path + "/file/data"))
        }

        @Test func withoutRedisServerOnThePathItSaysSo() async throws {
            // setpriv is needed to start anything; redis-server is not there.
            symlink("/usr/bin/setpriv", folder.path + "/setpriv")
            let program = try Program(
                ["dev", "--port", "0", "--data-dir", directory], environment: ["PATH": folder.path])
            #expect(try await program.exitCode() == 69)
            #expect(program.errors.contains("redis-server"))
        }
    }
}

import Glibc
import TestSupport
import Testing

/// The Redis URL, which may hold a password, from a file; and what a container's health check asks.
extension Fleet {
    @Suite(.serialized) struct RedisFileTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        @Test func theURLIsReadFromTheFile() async throws {
            let file = folder.path + "/url"
            try Tree.write("  \(try RedisServer.shared.url)\n\n", to: file)
            for (arguments, environment) in [(["--redis-file", file], [:]), ([], ["QM_REDIS_FILE": file])] {
                let replica = try await Replica(["serve"] + arguments, environment: environment)
                #expect(try replica.request("GET", "/readyz").status == 200)
                #expect(try await replica.program.terminate() == 0)
            }
        }

        @Test func aWrongFileIs78AndTellsNoSecret() async throws {
            let file = folder.path + "/url"
            try Tree.write("redis://ann:hunter2@127.0.0.1:0\n", to: file)
            let wrong = try await Program.run("check-config", "--redis-file", file)
            #expect(wrong.code == 78)
            #expect(wrong.errors.contains("\(file): must name a host and a port"))
            #expect(!wrong.errors.contains("hunter2"))
            let missing = try await Program.run("check-config", "--redis-file", file + "-")
            #expect(missing.code == 78 && missing.errors.contains(file + "-"))
            try Tree.write("redis://ann:hunter2@127.0.0.1:1\n", to: file)
            let both = try await Program.run(
                "check-config", "--redis-file", file, environment: ["QM_REDIS": "redis://127.0.0.1:1"])
            #expect(both.code == 78 && both.errors.contains("--redis-file"))
            let shown = try await Program.run("serve", "--print-config", "--redis-file", file)
            #expect(shown.code == 0 && shown.output.contains("127.0.0.1:1") && !shown.output.contains("hunter2"))
        }

        /// A secret that every user of the machine may read is said at the start and by check-config, and is no error.
        @Test func aSecretThatOthersMayReadIsSaid() async throws {
            let (url, secrets, config) = (folder.path + "/url", folder.path + "/secrets", folder.path + "/config")
            try Tree.write("redis://ann:hunter2@127.0.0.1:1\n", to: url)
            try Tree.write("shop 0123456789abcdef0123\n", to: secrets)
            try Tree.write(#"{"smtp-url":"smtp://ann:hunter2@127.0.0.1:25"}"#, to: config)
            let arguments = ["--redis-file", url, "--webhook-secrets", secrets, "--config", config]
            for mode: mode_t in [0o644, 0o600] {
                for file in [url, secrets, config] { chmod(file, mode) }
                let program = try Program(["check-config"] + arguments)
                #expect(try await program.exitCode() == 0)
                for file in [url, secrets, config] {
                    #expect(program.errors.contains("chmod 600: \(file)") == (mode == 0o644), "\(program.errors)")
                }
                #expect(!program.errors.contains("hunter2"))
            }
            chmod(url, 0o644)
            try Tree.write("\(try RedisServer.shared.url)\n", to: url)
            let replica = try await Replica(["serve", "--redis-file", url])
            #expect(replica.program.errors.contains("chmod 600") && replica.program.errors.contains(url))
            #expect(try await replica.program.terminate() == 0)
        }

        @Test func healthIsWhetherTheServiceTakesRequests() async throws {
            let replica = try await Replica.serve(try RedisServer.shared, "--drain-delay", "20000")
            let ready = try await Program.run("health", "--url", replica.url)
            #expect((ready.code, ready.output) == (0, "ready\n"))
            // About to end, it says so for its drain delay.
            replica.program.process.signal(SIGTERM)
            #expect(await eventually { (try? replica.request("GET", "/readyz").status) == 503 })
            let ending = try await Program.run("health", "--url", replica.url)
            #expect(ending.code == 1 && ending.errors.contains("about to end"))
            let live = try await Program.run("health", "--live", "--url", replica.url)
            #expect((live.code, live.output) == (0, "live\n"))
            replica.program.process.kill()
            let gone = try await Program.run("health", "--url", replica.url)
            #expect(gone.code == 1 && gone.output.isEmpty)
        }

        /// A replica without Redis serves; whoever asks for Redis as well hears that it is away.
        @Test func healthSaysOfRedisWhatItIsAskedFor() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis)
            let both = try await Program.run("health", "--redis", "--url", replica.url)
            #expect((both.code, both.output) == (0, "ready\n"))
            redis.kill()
            #expect(await eventually { (try? replica.request("GET", "/readyz?redis").status) == 503 })
            let away = try await Program.run("health", "--redis", "--url", replica.url)
            #expect(away.code == 1 && away.errors.contains("Redis is out of reach"))
            let ready = try await Program.run("health", "--url", replica.url)
            #expect((ready.code, ready.output) == (0, "ready\n"))
        }
    }
}

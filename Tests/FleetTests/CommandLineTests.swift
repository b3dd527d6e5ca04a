import EventLoops
import Glibc
import JSON
import TestSupport
import Testing

/// What the command line says, and how it ends.
extension Fleet {
    @Suite(.serialized) struct CommandLineTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        @Test func versionAndHelp() async throws {
            let version = try await Program.run("version")
            #expect(version.code == 0)
            #expect(version.output.wholeMatch(of: /quartermaster \d+\.\d+\.\d+\n/) != nil)
            for arguments in [["help"], ["--help"], ["serve", "--help"], []] {
                let program = try Program(arguments)
                #expect(try await program.exitCode() == 0)
                for word in ["serve", "dev", "rules apply FILE", "--port", "exit codes", "QM_"] {
                    #expect(program.output.contains(word), "\(arguments): no \(word)")
                }
                #expect(program.errors.isEmpty)
            }
        }

        @Test(arguments: [
            (["nonsense"], "nonsense"), (["serve", "--nonsense"], "--nonsense"), (["serve", "--port"], "--port"),
            (["serve", "word"], "word"), (["rules"], "apply FILE"), (["rules", "apply"], "apply FILE"),
            (["rules", "export", "--nonsense"], "--nonsense"), (["rules", "export", "--url", "gopher://x"], "http://"),
            (["rules", "export", "--url", "http://127.0.0.1:port"], "port"),
        ])
        func aWrongCommandLineIs64(_ arguments: [String], _ named: String) async throws {
            let program = try Program(arguments)
            #expect(try await program.exitCode() == 64)
            #expect(program.errors.contains(named), "\(program.errors)")
            #expect(program.output.isEmpty)
        }

        @Test(arguments: [
            (["serve", "--port", "70000"], "--port must be an integer from 0 to 65535"),
            (["serve", "--host", "example.org"], "--host"), (["serve", "--redis", "http://x"], "--redis"),
            (["serve", "--services", "carts"], "rate-limiter, jobs"),
            (["serve", "--config", "/nonexistent"], "/nonexistent"),
            (["serve", "--tokens", "/nonexistent"], "/nonexistent"),
            (["serve", "--host", "0.0.0.0"], "--tokens"), (["serve", "--host", "::"], "--tokens"),
            (["check-config", "--log-level", "loud"], "--log-level must be one of debug, info, warning, error"),
            (["check-config", "--host", "0.0.0.0"], "--tokens"),
            (["check-config", "--socket", "/tmp/x", "--socket-mode", "999"], "--socket-mode must be an octal mode"),
            (["check-config", "--rules", "/nonexistent"], "/nonexistent"),
            (["check-config", "--webhook-secrets", "/nonexistent"], "/nonexistent"),
            (["check-config", "--command-directory", "/nonexistent"], "command-directory"),
        ])
        func aWrongConfigurationIs78(_ arguments: [String], _ named: String) async throws {
            let program = try Program(arguments)
            #expect(try await program.exitCode() == 78)
            #expect(program.errors.contains(named), "\(program.errors)")
            #expect(program.output.isEmpty)
        }

        @Test func aCommandThatFailsIs1() async throws {
            let port = try freePort()
            let rules = try await Program.run("rules", "export", "--url", "http://127.0.0.1:\(port)")
            #expect(rules.code == 1)
            #expect(rules.errors.contains("127.0.0.1:\(port)"))
        }

        @Test func checkConfigSaysWhetherItIsGood() async throws {
            let good = try await Program.run("check-config", "--port", "0")
            #expect((good.code, good.output) == (0, "the configuration is good\n"))
            let file = folder.path + "/tokens"
            try Tree.write("ann admin nothex\n", to: file)
            let bad = try await Program.run("check-config", "--tokens", file)
            #expect(bad.code == 78)
            #expect(bad.errors.contains("\(file): line 1"))
            let environment = try await Program.run("check-config", environment: ["QM_PORT": "many"])
            #expect(environment.code == 78)
            #expect(environment.errors.contains("QM_PORT"))
        }

        /// What a start would refuse, it says, without a Redis; what it says, a start says as well, before it asks one.
        @Test(arguments: [
            ("not json", "rules"), (#"{"rules":[{"name":"x","strategy":"nonsense"}]}"#, "rules[0].strategy"),
            (#"{"rules":[{"name":"x","action":"deny"},{"name":"x","action":"deny"}]}"#, "stands twice"),
            (#"{"rules":[{"action":"deny"}]}"#, "rules[0].name"), (#"{"ruless":[]}"#, "rules"),
        ])
        func checkConfigReadsTheRules(_ text: String, _ named: String) async throws {
            let file = folder.path + "/rules.json"
            try Tree.write(text, to: file)
            for command in ["check-config", "serve"] {
                let program = try Program([command, "--port", "0", "--redis", "redis://127.0.0.1:1", "--rules", file])
                #expect(try await program.exitCode() == 78, "\(command)")
                #expect(program.errors.contains(file) && program.errors.contains(named), "\(program.errors)")
                #expect(program.output.isEmpty)
            }
            try Tree.write(#"{"rules":[{"name":"x","action":"deny"}]}"#, to: file)
            #expect(try await Program.run("check-config", "--rules", file).code == 0)
        }

        @Test func printConfigHidesSecrets() async throws {
            let file = folder.path + "/config.json"
            try Tree.write(#"{"loops": 3, "prefix": "file:", "port": 1}"#, to: file)
            let shown = try await Program.run(
                "serve", "--print-config", "--config", file, "--port", "2",
                environment: ["QM_REDIS": "redis://ann:hunter2@127.0.0.1:1/4", "QM_PREFIX": "env:", "QM_PORT": "3"])
            #expect(shown.code == 0)
            let settings = try #require(shown.output.withByteView { try? JSONValue(parsing: $0) })
            // Flags come before the environment, the environment before the file.
            #expect(settings["port"] == .string("2"))
            #expect(settings["prefix"] == .string("env:"))
            #expect(settings["loops"] == .string("3"))
            #expect(shown.output.contains("127.0.0.1:1"))
            #expect(!(shown.output + shown.errors).contains("hunter2"))
        }

        // MARK: What is not available at start

        @Test func aPortInUseIs69() async throws {
            let redis = try RedisServer.shared
            let first = try await Replica.serve(redis, "--loops", "2")
            // Both listen with SO_REUSEPORT, by which the kernel would let them share it.
            let arguments = ["serve", "--redis", redis.url, "--port", String(first.port), "--loops", "2"]
            let second = try Program(arguments)
            #expect(try await second.exitCode() == 69)
            #expect(second.errors.contains("127.0.0.1:\(first.port)"))
            #expect(second.output.isEmpty)
            #expect(try first.request("GET", "/healthz").status == 200)
            #expect(try await first.program.terminate() == 0)
            // The port of one that has ended is free at once.
            let third = try await Replica(arguments)
            #expect(third.url == first.url)
        }

        @Test func withoutRedisServeIs69() async throws {
            let port = try freePort()
            let began = MonotonicClock.nowUs()
            let program = try Program(["serve", "--port", "0", "--redis", "redis://:hunter2@127.0.0.1:\(port)"])
            #expect(try await program.exitCode() == 69)
            // It waits ten seconds for a Redis that may be starting, too.
            #expect(MonotonicClock.nowUs() - began >= 9_900_000)
            #expect(program.errors.contains("127.0.0.1:\(port)"))
            #expect(!program.errors.contains("hunter2"))
            #expect(program.output.isEmpty)
        }

        @Test func serveWaitsForARedisThatStarts() async throws {
            let port = try freePort()
            let listener = try Sockets.listen(.tcp(host: "127.0.0.1", port: port), sharesPort: false)
            let program = try Program(["serve", "--port", "0", "--redis", "redis://127.0.0.1:\(port)"])
            // Its first attempt meets somebody who hangs up.
            var first: Int32?
            #expect(
                try await eventually {
                    first = try Sockets.accept(listener)
                    return first != nil
                })
            close(first ?? -1)
            close(listener)
            #expect(program.output.isEmpty)
            let redis = try RedisServer(options: .init(arguments: ["--port", String(port)]))
            defer { redis.kill() }
            #expect(await eventually { Replica.url(program.output) != nil })
            #expect(try await program.terminate() == 0)
        }
    }
}

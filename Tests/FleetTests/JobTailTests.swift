import Glibc
import JSON
import TestSupport
import Testing

/// `jobs tail` and `--wait` beside services that come and go.
extension Fleet {
    @Suite(.serialized) struct JobTailTests {
        private let redis: RedisServer
        private let prefix: String
        private let port: Int

        init() throws {
            redis = try RedisServer.shared
            prefix = redis.prefix()
            port = try freePort()
        }

        private var environment: [String: String] { ["QM_URL": "http://localhost:\(port)"] }

        private func replica() async throws -> Replica {
            try await Replica.serve(
                redis, "--with-worker", "--loops", "1", "--prefix", prefix, "--port", String(port))
        }

        private func add(_ replica: Replica, _ name: String, durationMs: Int = 0) throws {
            let body = #"{"name":"\#(name)","type":"simulated","config":{"durationMs":\#(durationMs)}}"#
            #expect(try replica.request("POST", "/api/jobs", body: body).status == 201)
        }

        /// The words of a tail's lines, without their times.
        private func events(_ program: Program) -> [String] {
            program.output.split(separator: "\n").map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
        }

        @Test func aTailPrintsALinePerEventUntilItIsEnded() async throws {
            let first = try await replica()
            let plain = try Program(["jobs", "tail"], environment: environment)
            let lines = try Program(["jobs", "tail", "--json"], environment: environment)
            // Nothing says when they listen but what they hear.
            var number = 0
            #expect(
                try await eventually {
                    number += 1
                    try add(first, "n\(number)")
                    return !plain.output.isEmpty && !lines.output.isEmpty
                })
            let last = "default-" + String(repeating: "0", count: 12 - String(number).count) + String(number)
            #expect(await eventually { events(plain).last == "completed \(last)" })
            #expect(await eventually { lines.output.hasSuffix(#"{"event":"completed","job":"\#(last)"}"# + "\n") })
            let time = plain.output.split(separator: " ")[0]
            #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil, "\(time)")

            // A service that is restarted has its listeners back, and they miss nothing.
            #expect(try await first.program.terminate() == 0)
            #expect(await eventually { plain.errors.contains("the connection ended") })
            let second = try await replica()
            try add(second, "again")
            let next = "default-" + String(repeating: "0", count: 12 - String(number + 1).count) + String(number + 1)
            #expect(await eventually { events(plain).last == "completed \(next)" })
            #expect(events(plain).suffix(3) == ["created \(next)", "started \(next)", "completed \(next)"])

            plain.process.signal(SIGINT)
            #expect(try await plain.exitCode() == 0)
            #expect(try await lines.terminate() == 0)
        }

        @Test func aTailThatIsRefusedIs1() async throws {
            let nobody = try Program(["jobs", "tail"], environment: environment)
            #expect(try await nobody.exitCode() == 1)
            #expect(nobody.errors.contains("localhost:\(port)"))
            let replica = try await replica()
            let refused = try Program(["jobs", "tail", "--queue", "Not A Queue"], environment: environment)
            #expect(try await refused.exitCode() == 1)
            #expect(refused.errors == "quartermaster: queue is required\n")
            #expect(try await replica.program.terminate() == 0)
        }

        @Test func waitingOutlivesARestart() async throws {
            let first = try await replica()
            let arguments = ["jobs", "add", "--name", "n", "--type", "simulated", "--wait"]
            _ = try first.request("POST", "/api/queues/default/pause")
            let program = try Program(arguments, environment: environment)
            #expect(await eventually { program.output == "default-000000000001\n" })
            #expect(try await first.program.terminate() == 0)
            let second = try await replica()
            _ = try second.request("POST", "/api/queues/default/resume")
            #expect(try await program.exitCode() == 0)
            #expect(program.errors.isEmpty)
        }

        @Test func aCommandThatWaitsEndsOnASignal() async throws {
            let replica = try await replica()
            _ = try replica.request("POST", "/api/queues/default/pause")
            let arguments = ["jobs", "add", "--name", "n", "--type", "simulated", "--wait"]
            let program = try Program(arguments, environment: environment)
            #expect(await eventually { !program.output.isEmpty })
            program.process.signal(SIGINT)
            #expect(try await program.exitCode() == -Int(SIGINT))
        }
    }
}

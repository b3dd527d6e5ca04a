import Glibc
import JSON
import TestSupport
import Testing

/// The commands that ask a running service about jobs: what they print, plain and as JSON, and how they end.
extension Fleet {
    @Suite(.serialized) struct JobCommandTests {
        private func replica() async throws -> Replica {
            let redis = try RedisServer.shared
            return try await Replica.serve(redis, "--with-worker", "--loops", "1", "--prefix", redis.prefix())
        }

        /// Runs a command that must succeed; its output.
        private func run(_ replica: Replica, _ arguments: String...) async throws -> String {
            let program = try Program(arguments, environment: ["QM_URL": replica.url])
            let code = try await program.exitCode()
            guard code == 0 else { throw SetUpFailure("\(arguments) ended with \(code): \(program.errors)") }
            return program.output
        }

        /// Runs a command that must not; its exit code and standard error.
        private func fail(_ replica: Replica, _ arguments: String...) async throws -> (code: Int, errors: String) {
            let program = try Program(arguments, environment: ["QM_URL": replica.url])
            return (try await program.exitCode(), program.errors)
        }

        private func json(_ text: String) throws -> JSONValue {
            try #require(text.withByteView { try? JSONValue(parsing: $0) }, "\(text)")
        }

        /// The lines of a table as their words; what is relative to now is left to others.
        private func rows(_ table: String) -> [[Substring]] {
            table.split(separator: "\n").map { $0.split(separator: " ") }
        }

        // MARK: One job

        @Test func aJobIsAddedAndFollowedToItsEnd() async throws {
            let replica = try await replica()
            let first = try await run(
                replica, "jobs", "add", "--name", "hello", "--type", "simulated", "--config",
                #"{"result":{"a":[1]},"durationMs":50}"#, "--wait")
            #expect(first == "default-000000000001\n")
            let id = String(first.dropLast())
            let job = try json(try await run(replica, "jobs", "show", id, "--json"))
            #expect(job["id"] == .string(id) && job["status"] == .string("completed"))
            // As it came, laid out.
            let answer = try replica.request("GET", "/api/jobs/\(id)")
            #expect(try await run(replica, "jobs", "show", id, "--json") == answer.json!.text(pretty: true) + "\n")
            let shown = rows(try await run(replica, "jobs", "show", id))
            #expect(shown.contains(["status", "completed"]) && shown.contains(["id", Substring(id)]))
            #expect(try await run(replica, "jobs", "result", id) == "{\n  \"a\": [\n    1\n  ]\n}\n")
            #expect(try json(try await run(replica, "jobs", "result", id, "--json"))["fromCache"] == .bool(false))
            let history = rows(try await run(replica, "jobs", "history", id))
            #expect(
                history[0].prefix(3) == ["ATTEMPT", "STATUS", "STARTED"] && history[1].prefix(2) == ["1", "completed"])
            let waited = try await run(replica, "jobs", "add", "--name", "j", "--type", "simulated", "--wait", "--json")
            #expect(try json(waited)["status"] == .string("completed"))
        }

        @Test func aJobThatDoesNotCompleteIs1() async throws {
            let replica = try await replica()
            let program = try Program(
                [
                    "jobs", "add", "--name", "bad", "--type", "simulated", "--config", #"{"failTimes":1}"#, "--retries",
                    "0",
                    "--wait",
                ], environment: ["QM_URL": replica.url])
            #expect(try await program.exitCode() == 1)
            #expect(program.output == "default-000000000001\n")
            #expect(program.errors.hasPrefix("quartermaster: default-000000000001 is failed: "))
            let dead = rows(try await run(replica, "dead"))
            #expect(
                dead.count == 2 && dead[1].prefix(5) == ["default-000000000001", "bad", "simulated", "failed", "1/1"])
            let result = try await fail(replica, "jobs", "result", "default-000000000001")
            #expect(result.code == 1 && result.errors.contains("it is failed"))
            let retried = try await run(replica, "jobs", "retry", "default-000000000001")
            #expect(retried.hasPrefix("default-000000000001 is "))
            // Both of its executions are told.
            #expect(
                try await eventually {
                    rows(try await run(replica, "jobs", "history", "default-000000000001")).count == 3
                })
        }

        @Test func theConfigMayComeFromAFile() async throws {
            let replica = try await replica()
            let folder = try TemporaryFolder()
            try Tree.write(#"{"result": "from a file"}"#, to: folder.path + "/config.json")
            let config = "@" + folder.path + "/config.json"
            _ = try await run(
                replica, "jobs", "add", "--name", "n", "--type", "simulated", "--config", config, "--wait")
            // A result that is text is printed as it is.
            #expect(try await run(replica, "jobs", "result", "default-000000000001") == "from a file\n")
        }

        @Test func oneKeyMakesOneJob() async throws {
            let replica = try await replica()
            for _ in 0..<2 {
                let id = try await run(
                    replica, "jobs", "add", "--name", "n", "--type", "simulated", "--idempotency-key", "k")
                #expect(id == "default-000000000001\n")
            }
        }

        @Test func jobsRunWhenToldToAndAreCancelled() async throws {
            let replica = try await replica()
            _ = try await run(replica, "jobs", "add", "--name", "m", "--type", "simulated", "--manual")
            #expect(try status(replica, 1) == "idle")
            _ = try await run(replica, "jobs", "run", "default-000000000001")
            #expect(try await eventually { try status(replica, 1) == "completed" })
            let schedule = ["jobs", "add", "--name", "s", "--type", "simulated", "--schedule", "0 0 1 1 *"]
            let program = try Program(schedule, environment: ["QM_URL": replica.url])
            #expect(try await program.exitCode() == 0)
            let said = try await run(replica, "jobs", "run", "default-000000000002")
            #expect(said == "default-000000000003 is a run of default-000000000002\n")
            let cancelled = try await run(replica, "jobs", "cancel", "default-000000000002")
            #expect(cancelled == "default-000000000002 is cancelled\n")
            let again = try await fail(replica, "jobs", "cancel", "default-000000000002")
            #expect(again.code == 1 && again.errors.contains("has ended"))
        }

        // MARK: Lists

        @Test func listsAreFilteredAndLimited() async throws {
            let replica = try await replica()
            for (name, queue) in [("a", "default"), ("b", "default"), ("c", "mail")] {
                _ = try await run(
                    replica, "jobs", "add", "--name", name, "--type", "simulated", "--queue", queue, "--manual")
            }
            func names(_ arguments: String...) async throws -> [Substring] {
                let program = try Program(["jobs", "list"] + arguments, environment: ["QM_URL": replica.url])
                #expect(try await program.exitCode() == 0, "\(program.errors)")
                return rows(program.output).dropFirst().map { $0[1] }.sorted()
            }
            #expect(try await names() == ["a", "b", "c"])
            #expect(try await names("--queue", "mail") == ["c"])
            #expect(try await names("--name", "b", "--status", "idle", "--type", "simulated") == ["b"])
            #expect(try await names("--status", "failed") == [])
            let limited = try Program(["jobs", "list", "--limit", "2"], environment: ["QM_URL": replica.url])
            #expect(try await limited.exitCode() == 0)
            #expect(rows(limited.output).count == 3 && limited.errors.contains("there are more"))
            guard case .array(let jobs) = try json(try await run(replica, "jobs", "list", "--json")) else { return }
            #expect(jobs.count == 3 && jobs.allSatisfy { $0["status"] == .string("idle") })
            #expect(try json(try await run(replica, "dead", "--json")) == .array([]))
            let wrong = try await fail(replica, "jobs", "list", "--status", "odd")
            #expect(wrong.code == 1 && wrong.errors.contains("status must be one of"))
        }

        @Test func aListGoesOnOverPages() async throws {
            let replica = try await replica()
            let jobs = (0..<1000).map { #"{"name":"j\#($0)","type":"simulated","manual":true}"# }
            for _ in 0..<2 {
                let body = #"{"jobs":[\#(jobs.joined(separator: ","))]}"#
                #expect(try replica.request("POST", "/api/jobs/bulk", body: body).status == 201)
            }
            let all = try await run(replica, "jobs", "list", "--limit", "1500")
            let ids = rows(all).dropFirst().map { $0[0] }
            #expect(ids.count == 1500 && Set(ids).count == 1500)
            #expect(rows(try await run(replica, "jobs", "list", "--limit", "5000")).count == 2001)
        }

        // MARK: Queues and workers

        @Test func queuesPauseAndResume() async throws {
            let replica = try await replica()
            #expect(try await run(replica, "queues") == "")
            #expect(try await run(replica, "queues", "pause", "default") == "default is paused\n")
            let id = try await run(replica, "jobs", "add", "--name", "n", "--type", "simulated").dropLast()
            let table = rows(try await run(replica, "queues"))
            #expect(table[0].prefix(4) == ["QUEUE", "STATE", "READY", "RUNNING"])
            #expect(table[1].prefix(4) == ["default", "paused", "1", "0"])
            #expect(try status(replica, 1) == "pending" && id == "default-000000000001")
            #expect(try await run(replica, "queues", "resume", "default") == "default is active\n")
            #expect(try await eventually { try status(replica, 1) == "completed" })
            guard case .array(let queues) = try json(try await run(replica, "queues", "--json")) else { return }
            #expect(queues.count == 1 && queues[0]["paused"] == .bool(false))
        }

        @Test func workersAreShown() async throws {
            let replica = try await replica()
            // It tells of itself as soon as it works.
            #expect(await eventually { (try? replica.request("GET", "/api/workers").json) != .array([]) })
            let table = rows(try await run(replica, "workers"))
            #expect(table.count == 2 && table[0][0] == "WORKER" && table[1].contains("0/20"))
            guard case .array(let workers) = try json(try await run(replica, "workers", "--json")) else { return }
            #expect(workers.count == 1 && workers[0]["pid"] == .int(Int(replica.program.process.pid)))
        }

        @Test func schedulesAreTriedBefore() async throws {
            let replica = try await replica()
            let arguments = ["cron", "*/5 * * * *", "--from", "2024-01-25T04:46:00Z", "--count", "3"]
            let program = try Program(arguments, environment: ["QM_URL": replica.url])
            #expect(try await program.exitCode() == 0)
            #expect(
                program.output.split(separator: "\n").map { $0.prefix(16) } == [
                    "2024-01-25T04:50", "2024-01-25T04:55", "2024-01-25T05:00",
                ])
            let zoned = try await run(
                replica, "cron", "30 2 * * *", "--time-zone", "America/New_York", "--from", "2024-03-10T00:00:00-05:00",
                "--count", "1", "--json")
            #expect(try json(zoned)["runs"] == .array([.string("2024-03-10T03:00:00-04:00")]))
            let refused = try await fail(replica, "cron", "60 * * * *")
            #expect(refused.code == 1 && refused.errors.contains("minute"))
        }

        // MARK: What goes wrong

        @Test func refusalsAreToldInTheServicesWords() async throws {
            let replica = try await replica()
            for verb in ["show", "run", "cancel", "retry", "history", "result"] {
                for id in ["default-000000000099", "a/b c?d"] {
                    let answer = try await fail(replica, "jobs", verb, id)
                    #expect(answer.code == 1 && answer.errors == "quartermaster: there is no job \(id)\n", "\(verb)")
                }
            }
            let unknown = try await fail(replica, "jobs", "add", "--name", "n", "--type", "nothing-like-it")
            #expect(unknown.code == 1 && unknown.errors.contains("nothing-like-it"))
            let late = try await fail(replica, "jobs", "add", "--name", "n", "--type", "simulated", "--run-at", "noon")
            #expect(late.code == 1 && late.errors.contains("runAt"))
        }

        @Test(arguments: [
            (["jobs"], "jobs show ID"), (["jobs", "nonsense"], "jobs show ID"), (["jobs", "show"], "jobs show ID"),
            (["jobs", "show", "a", "b"], "jobs show ID"), (["jobs", "list", "--config", "{}"], "--config"),
            (["jobs", "list", "--limit", "0"], "--limit"), (["jobs", "add", "--name", "n"], "--type"),
            (["queues", "pause"], "queues pause NAME"), (["queues", "stop", "x"], "queues pause NAME"),
            (["workers", "x"], "workers"), (["cron"], "cron EXPRESSION"), (["cron", "*", "*"], "cron EXPRESSION"),
            (["dead", "--status", "failed"], "--status"), (["jobs", "list", "--url", "ftp://x"], "http://"),
        ])
        func aWrongCommandLineIs64(_ arguments: [String], _ named: String) async throws {
            let program = try Program(arguments)
            #expect(try await program.exitCode() == 64)
            #expect(program.errors.contains(named), "\(program.errors)")
            #expect(program.output.isEmpty)
        }

        @Test func eachHasHelpOfItsOwn() async throws {
            let add = try await Program.run("jobs", "add", "--help")
            #expect(add.code == 0 && add.output.contains("--idempotency-key KEY") && add.errors.isEmpty)
            #expect(!add.output.contains("jobs list"))
            let jobs = try await Program.run("jobs", "-h")
            #expect(jobs.code == 0 && jobs.output.contains("jobs list") && jobs.output.contains("jobs tail"))
        }

        private func status(_ replica: Replica, _ number: Int) throws -> String? {
            let digits = String(repeating: "0", count: 12 - String(number).count) + String(number)
            guard case .string(let status)? = try replica.request("GET", "/api/jobs/default-\(digits)").json?["status"]
            else { return nil }
            return status
        }
    }
}

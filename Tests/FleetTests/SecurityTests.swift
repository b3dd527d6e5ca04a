import Bytes
import Digests
import EventLoops
import Glibc
import JSON
import TestSupport
import Testing

/// What an attacker would try, and what an operator is told, on real processes.
extension Fleet {
    @Suite(.serialized) struct SecurityTests {
        private let folder: TemporaryFolder
        private var file: String { folder.path + "/tokens" }

        init() throws { folder = try TemporaryFolder() }

        private func line(_ name: String, _ role: String, _ token: String) -> String {
            let text = ByteBuffer()
            token.withByteView { SHA256.hash($0) }.withByteView { text.append(hex: $0) }
            return "\(name) \(role) \(text.view.string)\n"
        }

        private func bearer(_ token: String) -> [(String, String)] { [("Authorization", "Bearer \(token)")] }

        // MARK: Listening

        /// Beyond loopback there are tokens or there is no server, whichever way it was told.
        @Test func withoutTokensItListensOnLoopbackOnly() async throws {
            try Tree.write("# nobody yet\n\n", to: file)
            try Tree.write(#"{"host":"0.0.0.0"}"#, to: folder.path + "/config")
            try Tree.write(#"{"host":"0.0.0.0","tokens":"\#(file)"}"#, to: folder.path + "/both")
            let beyond: [([String], [String: String])] = [
                (["--host", "0.0.0.0"], [:]), (["--host", "::"], [:]), (["--host", "::ffff:0.0.0.0"], [:]),
                (["--host", "192.0.2.1"], [:]), (["--host=0.0.0.0"], [:]), ([], ["QM_HOST": "0.0.0.0"]),
                (["--config", folder.path + "/config"], [:]), ([], ["QM_CONFIG": folder.path + "/config"]),
                (["--host", "0.0.0.0", "--tokens", file], [:]), (["--host", "0.0.0.0"], ["QM_TOKENS": file]),
                (["--config", folder.path + "/both"], [:]),
                (["--host", "0"], [:]), (["--host", ""], [:]),
            ]
            for (arguments, environment) in beyond {
                let program = try Program(
                    ["serve", "--port", "0", "--redis", try RedisServer.shared.url] + arguments,
                    environment: environment)
                #expect(try await program.exitCode() == 78, "\(arguments) \(environment) \(program.errors)")
                #expect(program.output.isEmpty)
            }
        }

        // MARK: Tokens

        @Test func aHangUpReadsTheTokensAtOnce() async throws {
            let redis = try RedisServer.shared
            try Tree.write(line("ann", "admin", "anns-token"), to: file)
            let replica = try await Replica.serve(
                redis, "--tokens", file, "--prefix", redis.prefix(), "--log-format", "json")
            #expect(try replica.request("GET", "/api/audit", headers: bearer("anns-token")).status == 200)
            // A wrong file: the earlier tokens hold, and the log says where it is wrong and not what is there.
            try Tree.write("ann admin anns-token-by-mistake\n", to: file)
            replica.program.process.signal(SIGHUP)
            #expect(await eventually { replica.program.errors.contains("line 1: ") })
            #expect(!replica.program.errors.contains("by-mistake"))
            #expect(try replica.request("GET", "/api/audit", headers: bearer("anns-token")).status == 200)
            try Tree.write(line("bob", "admin", "bobs-token") + line("eve", "read", "eves-token"), to: file)
            replica.program.process.signal(SIGHUP)
            #expect(await eventually { replica.program.errors.contains("\"tokens\":2") })
            #expect(
                try await eventually {
                    try replica.request("GET", "/api/audit", headers: bearer("anns-token")).status == 401
                })
            #expect(try replica.request("GET", "/api/audit", headers: bearer("bobs-token")).status == 200)
            let log = replica.program.errors
            for secret in ["anns-token", "bobs-token", String(line("bob", "admin", "bobs-token").suffix(60))] {
                #expect(!log.contains(secret))
            }
            #expect(try await replica.program.terminate() == 0)
        }

        // MARK: The log

        /// Whatever a request says, a line of the log stays a line, and what a terminal or a reader might obey is escaped.
        @Test(arguments: ["json", "text"]) func nothingOfARequestForgesLogLines(_ format: String) async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, "--prefix", "p:", "--log-format", format)
            // Entries of the audit log cannot be written there, so they go to the log with all that they say.
            try redis.redis("SET", "p:audit", "not a stream")
            let before = replica.program.errors.utf8.count
            let nasty = [
                "%0A%0D%1B%5B31mred%00%7F", "%E2%80%A8next%E2%80%A9", "%C2%9B31m%C2%85", "%FF%FE%C0%AF",
                "%E2%80%AEdesrever%E2%81%A6", "%22%7D%0A%7B%22level%22%3A%22error%22%2C%22message%22%3A%22forged",
                String(repeating: "a", count: 12_000), "%F0%9F%98%80%EF%BB%BF",
            ]
            for (i, path) in nasty.enumerated() {
                let answer = try replica.request(
                    "DELETE", "/api/rate-limits/\(path)",
                    headers: [("X-Request-Id", "id-\(i) \u{9B}forged"), ("traceparent", "00-\u{2028}forged")])
                #expect(answer.status == 404)
            }
            var lines: [String] = []
            let isLogged = await eventually {
                let text = String(decoding: replica.program.errors.utf8.dropFirst(before), as: UTF8.self)
                lines = text.components(of: "\n")
                return lines.count { $0.contains("audit entry not written") } == nasty.count
            }
            #expect(isLogged && lines.count == nasty.count, "\(lines)")
            for line in lines {
                #expect(line.utf8.count < 2048, "\(line)")
                #expect(line.hasPrefix(format == "json" ? "{\"time\":\"20" : "20"))
                for scalar in line.unicodeScalars {
                    let value = scalar.value
                    let isControl = value < 0x20 || (0x7F...0x9F).contains(value)
                    let isBreak = value == 0x2028 || value == 0x2029
                    let isDirection = (0x202A...0x202E).contains(value) || (0x2066...0x2069).contains(value)
                    #expect(!isControl && !isBreak && !isDirection && value != 0xFEFF, "U+\(String(value, radix: 16))")
                }
                #expect(!line.contains("\u{9B}") && !line.contains("id-"))
                if format == "json" {
                    let value = line.withByteView { try? JSONValue(parsing: $0) }
                    #expect(value?["level"] == .string("warning") && value?["status"] == .int(404), "\(line)")
                }
            }
            #expect(try await replica.program.terminate() == 0)
        }

        // MARK: The audit log

        /// All services write to it, and the command line reads it.
        @Test func everyServicesChangesAreWrittenDown() async throws {
            let redis = try RedisServer.shared
            try Tree.write(line("ops", "admin", "ops-token") + line("ann", "read", "anns-token"), to: file)
            let replica = try await Replica.serve(redis, "--tokens", file, "--prefix", redis.prefix())
            let calls: [(String, String, String?, Int)] = [
                (
                    "POST", "/api/jobs", #"{"name":"j","type":"simulated","config":{},"runAt":"2099-01-01T00:00:00Z"}"#,
                    201
                ),
                ("POST", "/api/queues/default/pause", nil, 200), ("POST", "/api/queues/default/resume", nil, 200),
                ("PUT", "/api/job-types/resize", #"{"external":true}"#, 200),
                ("PUT", "/api/resources", #"{"gpu":2}"#, 200), ("DELETE", "/api/jobs/default-000000000001", nil, 204),
                ("POST", "/api/products", #"{"name":"Mug","sku":"MUG-1"}"#, 201),
                ("PUT", "/api/products/MUG-1", #"{"name":"Cup","sku":"MUG-1"}"#, 200),
                ("POST", "/api/warehouses", #"{"id":"w9","name":"W","location":"L"}"#, 201),
                ("DELETE", "/api/warehouses/w9", nil, 204), ("POST", "/api/inventory/reconcile", nil, 200),
                (
                    "POST", "/api/inventory/MUG-1/adjust", #"{"warehouseId":"warehouse-1","type":"set","quantity":1}"#,
                    200
                ),
            ]
            for (method, path, body, status) in calls {
                let answer = try replica.request(method, path, headers: bearer("ops-token"), body: body)
                #expect(answer.status == status, "\(method) \(path): \(answer.status) \(answer.text)")
            }
            // A job and what moves stock are records of their own.
            let expected = [
                "POST /api/queues/{name}/pause default", "POST /api/queues/{name}/resume default",
                "PUT /api/job-types/{type} resize", "PUT /api/resources ",
                "DELETE /api/jobs/{id} default-000000000001", "POST /api/products MUG-1 to 1",
                "PUT /api/products/{id} MUG-1 1 to 2", "POST /api/warehouses w9 to 1",
                "DELETE /api/warehouses/{id} w9 1", "POST /api/inventory/reconcile ",
            ]
            var seen: [String] = []
            let isWritten = try await eventually {
                let list = try replica.request("GET", "/api/audit", headers: bearer("ops-token")).json
                guard case .array(let entries)? = list else { return false }
                seen = entries.reversed().map { entry in
                    func text(_ name: String) -> String {
                        if case .string(let text)? = entry[name] { text } else { "" }
                    }
                    func number(_ name: String) -> Int? { if case .int(let n)? = entry[name] { n } else { nil } }
                    var line = "\(text("method")) \(text("route")) \(text("subject"))"
                    if let before = number("before") { line += " \(before)" }
                    if let after = number("after") { line += " to \(after)" }
                    return line
                }
                return seen.count >= expected.count
            }
            #expect(isWritten && seen == expected, "\(seen)")
            let table = try await Program.run(
                "audit", "--limit", "3", environment: ["QM_URL": replica.url, "QM_TOKEN": "ops-token"])
            #expect(table.code == 0)
            let rows = table.output.split(separator: "\n")
            #expect(rows.count == 4 && rows[0].hasPrefix("ENTRY") && rows[1].contains("reconcile"), "\(table.output)")
            #expect(rows.dropFirst().allSatisfy { $0.contains("  ops  ") })
            let refused = try await Program.run(
                "audit", environment: ["QM_URL": replica.url, "QM_TOKEN": "anns-token"])
            #expect(refused.code == 1 && refused.errors.contains("admin"))
            #expect(try await replica.program.terminate() == 0)
        }
    }
}

extension String {
    /// The parts between separators; the last one, when it is empty, is none.
    fileprivate func components(of separator: Character) -> [String] {
        split(separator: separator, omittingEmptySubsequences: true).map(String.init)
    }
}

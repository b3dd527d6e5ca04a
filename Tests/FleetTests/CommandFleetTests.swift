import Glibc
import JSON
import TestSupport
import Testing

/// Programs that a worker runs for jobs, when the worker itself dies.
@Suite struct CommandFleetTests {
    @Test func aProgramDiesWithItsWorker() async throws {
        let redis = try RedisServer()
        let folder = try TemporaryFolder()
        let script = "#!/bin/sh\necho $$ > \(folder.path)/pid\nwhile :; do sleep 0.1; done\n"
        try Tree.write(script, to: folder.path + "/endless")
        chmod(folder.path + "/endless", 0o755)
        let flags = ["--redis", redis.url, "--command-directory", folder.path, "--loops", "1"]
        let api = try await Replica(["serve", "--services", "jobs"] + flags)
        let worker = try await Replica(["work"] + flags)
        let answer = try api.request(
            "POST", "/api/jobs", body: #"{"name":"a","type":"command","config":{"program":"endless"}}"#)
        #expect(answer.status == 201, "\(answer.text)")
        func program() -> pid_t? {
            (try? Tree.read(folder.path + "/pid")).flatMap { pid_t($0.split(separator: "\n").first ?? "") }
        }
        #expect(await eventually { program() != nil })
        let pid = try #require(program())
        #expect(kill(pid, 0) == 0)
        worker.program.process.kill()
        #expect(await eventually { kill(pid, 0) != 0 && errno == ESRCH })
    }
}

import Glibc
import JSON
import TestSupport
import Testing

/// Kinds of jobs in real processes: what only the executable supplies, and what a worker's death leaves.
@Suite struct KindFleetTests {
    @Test func aProgramDiesWithItsWorker() async throws {
        let redis = try RedisServer()
        let folder = try TemporaryFolder()
        let script = "#!/bin/sh\necho $$ > \(folder.path)/pid\nwhile :; do sleep 0.1; done\n"
        try Tree.write(script, to: folder.path + "/endless")
        chmod(folder.path + "/endless", 0o755)
        let flags = ["--redis", redis.url, "--command-directory", folder.path, "--loops", "1"]
        let api = try await Replica(["serve", "--services", "jobs"] + flags)
        let worker = try await Replica(["work"] + flags + ["--redis", redis.workerURL])
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
        // Gone, or dead and not yet noticed by the process that inherited it.
        #expect(
            await eventually {
                kill(pid, 0) != 0 || (try? Tree.read("/proc/\(pid)/stat"))?.contains(") Z ") == true
            })
    }

    @Test func aReportShowsTheRulesOfTheRateLimiter() async throws {
        let redis = try RedisServer()
        let replica = try await Replica.serve(redis, "--with-worker", "--loops", "1")
        try replica.rule(#"{"name":"api","strategy":"fixed_window","limit":7,"window":"1s"}"#)
        let created = try replica.request(
            "POST", "/api/jobs",
            body: #"{"name":"a","type":"report_generation","config":{"report":"rate-limits","format":"csv"}}"#)
        guard created.status == 201, case .string(let id)? = created.json?["id"] else {
            throw SetUpFailure("no job: \(created.text)")
        }
        var text = ""
        let isThere = try await eventually {
            text = try replica.request("GET", "/api/jobs/\(id)/result").text
            return text.contains("windowMs")
        }
        #expect(isThere && text.contains("api,true,enforce,api,limit,fixed_window,7,1000,identifier,1,"), "\(text)")
    }
}

import JSON
import TestSupport
import Testing

/// What a GET shows can be PUT back, and changes nothing; what cannot be changed is refused rather than left out.
struct JobEditTests {
    private static let jobs = [
        #""priority":"high""#, #""config":{"durationMs":1,"result":{"a":[1,2.5,null,"x"]}}"#,
        #""retries":0,"timeout":"5s","retryOnTimeout":true,"backoff":{"kind":"fixed","baseMs":5,"maxMs":9}"#,
        #""runAt":"2090-01-02T03:04:05.678Z""#, #""manual":true"#, #""unique":{"key":"k {é} 1%"}"#,
        #""unique":{"key":"k","forMs":60000}"#, #""conflict":{"name":"a b","strategy":"reschedule","delayMs":7}"#,
        #""conflict":{"name":"m","strategy":"merge"}"#, #""cache":{"forMs":5000}"#, #""preemptible":true"#,
        #""resources":{"cpu":2}"#, #""schedule":"@daily""#,
        #""schedule":"5 4 * * *","timeZone":"Europe/Berlin","missed":"all","missedLimit":7,"overlap":"queue","queueLimit":3"#,
        #""dependencies":["default-000000000001",{"id":"default-000000000001","on":"completion"}]"#,
    ]

    private func makeServer() throws -> JobServer {
        let server = try JobServer(works: false)
        #expect(try server.send("PUT", "/api/resources", #"{"cpu":4}"#).status == 200)
        #expect(
            try server.create(#"{"name":"first","type":"simulated","runAt":"2090-01-01T00:00:00Z"}"#).hasSuffix("001"))
        return server
    }

    /// Without what every change changes.
    private func content(_ job: JSONValue) -> [JSONValue.Member] {
        guard case .object(let members) = job else { return [] }
        return members.filter { $0.key != "version" }
    }

    @Test(arguments: jobs) func getThenPutChangesNothing(_ more: String) throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"simulated",\#(more)}"#)
        let before = try server.job(id)
        let put = try server.send("PUT", "/api/jobs/\(id)", before.text())
        #expect(put.status == 200, "\(put.text)")
        #expect(content(try server.job(id)) == content(before))
    }

    @Test func placesOfARequestAreNamedAsJobs() throws {
        let server = try makeServer()
        let ids = try server.createAll([
            #"{"name":"a","type":"simulated"}"#, #"{"name":"b","type":"simulated","dependencies":["a"]}"#,
        ])
        let job = try server.job(ids[1])
        #expect(job["dependencies"]?.elements.first?["id"]?.text == ids[0])
        #expect(try server.send("PUT", "/api/jobs/\(ids[1])", job.text()).status == 200)
    }

    @Test(arguments: [
        (#""dependencies":["default-000000000001"]"#, "dependencies"), (#""unique":{"key":"other"}"#, "unique"),
        (#""unique":{"key":"k","forMs":1}"#, "unique"), (#""conflict":{"name":"n"}"#, "conflict"),
        (#""runAt":"2090-01-01T00:00:00Z""#, "runAt"), (#""manual":true"#, "manual"),
        (#""schedule":"@daily""#, "schedule"),
        (#""queue":"other""#, "queue"),
    ]) func whatCannotBeChangedIsRefused(_ more: String, _ field: String) throws {
        let server = try makeServer()
        let id = try server.create(#"{"name":"a","type":"simulated","unique":{"key":"k"}}"#)
        let before = try server.job(id)
        let put = try server.send("PUT", "/api/jobs/\(id)", #"{"name":"a","type":"simulated",\#(more)}"#)
        #expect(put.status == 422 && put.json?["field"]?.text == field, "\(put.text)")
        #expect(try server.job(id) == before)
    }

    @Test func aTimeCanBeChangedWhileItIsWaitedFor() throws {
        let server = try makeServer()
        let id = "default-000000000001"
        let body = #"{"name":"first","type":"simulated","runAt":"2091-01-01T00:00:00Z"}"#
        #expect(try server.send("PUT", "/api/jobs/\(id)", body).status == 200)
        #expect(try server.job(id)["runAt"]?.text == "2091-01-01T00:00:00.000Z")
    }

    @Test func aScheduleSaysWhenItRunsAtOnce() throws {
        let server = try JobServer(works: false)
        let answer = try server.send("POST", "/api/jobs", #"{"name":"a","type":"simulated","schedule":"@daily"}"#)
        let id = try #require(answer.json?["id"]?.text)
        #expect(answer.json?["nextRun"]?.timeMs != nil)
        #expect(try answer.json == server.job(id))
    }

    @Test func settingsAndPoolsTakeWhatTheyShow() throws {
        let server = try makeServer()
        #expect(try server.send("PUT", "/api/job-types/resize", #"{"external":true,"successRate":99.5}"#).status == 200)
        for path in ["/api/job-types/resize", "/api/resources"] {
            let before = try server.send("GET", path)
            #expect(try server.send("PUT", path, before.text).status == 200)
            #expect(try server.send("GET", path).text == before.text)
        }
        // Who changes a limit does not mean the workers.
        let limited = try server.send("PUT", "/api/job-types/resize", #"{"concurrency":5}"#)
        #expect(limited.json?["external"]?.flag == true && limited.json?["concurrency"]?.number == 5)
        try server.create(#"{"name":"a","type":"resize"}"#)
        #expect(
            try server.send("PUT", "/api/job-types/resize", #"{"external":false}"#).json?["external"]?.flag == false)
    }

    @Test func aQueueThatIsNotThereIsNotPaused() throws {
        let server = try makeServer()
        for op in ["pause", "resume"] {
            #expect(try server.send("POST", "/api/queues/typo/\(op)").status == 404)
            #expect(try server.send("POST", "/api/queues/default/\(op)").status == 200)
        }
        #expect(try server.send("GET", "/api/queues").json?.elements.count == 1)
    }
}

import Bytes
import HTTP
import JSON
import Testing

@testable import Application

struct JobRequestTests {
    private func request(_ arguments: String..., files: [String: String] = [:]) throws -> JobRequest {
        try JobRequest(CommandArguments(arguments, of: "jobs", flags: JobRequest.flags)) { path in
            guard let text = files[path] else { throw ConfigurationError("cannot read \(path)") }
            return Array(text.utf8)
        }
    }

    @Test func onlyWhatIsGivenIsSent() throws {
        let request = try request("--name", "n", "--type", "t")
        #expect(request.body.text() == #"{"name":"n","type":"t"}"# && request.headers.isEmpty)
    }

    @Test func everyFlagHasItsMember() throws {
        let all = try request(
            "--name", "n \"x\"", "--type", "t", "--config", #"{"a": [1, 2.5]}"#, "--priority", "high", "--queue", "q",
            "--schedule", "0 3 * * *", "--time-zone", "Europe/Berlin", "--run-at", "2031-01-01T00:00:00Z",
            "--retries", "0", "--timeout", "30s", "--depends-on", "q-000000000001", "--depends-on",
            "q-000000000002:failure,q-000000000003", "--manual", "--unique", "u", "--idempotency-key", "k1")
        #expect(
            all.body.text() == #"{"name":"n \"x\"","type":"t","config":{"a":[1,2.5]},"priority":"high","queue":"q","#
                + #""schedule":"0 3 * * *","timeZone":"Europe/Berlin","runAt":"2031-01-01T00:00:00Z","retries":0,"#
                + #""timeout":"30s","dependencies":["q-000000000001",{"id":"q-000000000002","on":"failure"},"#
                + #""q-000000000003"],"manual":true,"unique":{"key":"u"}}"#)
        #expect(all.headers.map(\.0) == ["Idempotency-Key"] && all.headers.map(\.1) == ["k1"])
        // Milliseconds are a number.
        #expect(try request("--name", "n", "--type", "t", "--timeout", "1500").body["timeout"] == .int(1500))
    }

    @Test func aConfigMayBeInAFile() throws {
        let files = ["f.json": #"{"from":"file"}"#, "-": #"{"from":"input"}"#]
        let file = try request("--name", "n", "--type", "t", "--config", "@f.json", files: files)
        #expect(file.body["config"]?["from"] == .string("file"))
        let input = try request("--name", "n", "--type", "t", "--config", "-", files: files)
        #expect(input.body["config"]?["from"] == .string("input"))
        let failure = #expect(throws: CommandFailure.self) {
            try request("--name", "n", "--type", "t", "--config", "@none", files: files)
        }
        #expect(failure?.description == "cannot read none")
    }

    @Test(arguments: [
        (["--type", "t"], "jobs add needs --name"), (["--name", "n"], "jobs add needs --type"),
        (["--name", "n", "--type", "t", "--config", "{x"], "--config: "),
        (["--name", "n", "--type", "t", "--retries", "101"], "--retries must be an integer from 0 to 100"),
        (["--name", "n", "--type", "t", "--idempotency-key", "a\r\nb: c"], "--idempotency-key must be"),
        (["--name", "n", "--type", "t", "--idempotency-key", ""], "--idempotency-key must be"),
        (["--name", "n", "--type", "t", "--manual", "--wait"], "--wait is for a job that ends"),
        (["--name", "n", "--type", "t", "--schedule", "@every 1m", "--wait"], "--wait is for a job that ends"),
    ])
    func whatCannotBeSentIsAUsageError(_ arguments: [String], _ message: String) {
        let error = #expect(throws: UsageError.self) {
            try JobRequest(CommandArguments(arguments, of: "jobs", flags: JobRequest.flags)) { _ in [] }
        }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }
}

/// Answers of the service as lines.
struct JobTextTests {
    private func json(_ text: String) throws -> JSONValue {
        try text.withByteView { try JSONValue(parsing: $0) }
    }

    @Test func anEventIsALine() {
        let event = ServerSentEvent(
            id: "1706659200123-0/2", name: "change", data: #"{"event":"completed","job":"default-000000000001"}"#)
        #expect(JobTail.line(event) == "2024-01-31T00:00:00.123Z completed default-000000000001")
        #expect(JobTail.line(ServerSentEvent(name: "change", data: #"{"event":"a","job":"b"}"#)) == "a b")
    }

    @Test func aJobIsPairs() throws {
        let job = try json(
            #"{"id":"q-1","schedule":null,"config":{"a":1},"timeout":90000,"dependencies":[],"runCount":0,"#
                + #""endedAt":"2024-01-31T00:00:00.000Z"}"#)
        #expect(
            JobTables.job(job).text() == """
                id        q-1
                config    {"a":1}
                timeout   1m 30s
                runCount  0
                endedAt   2024-01-31T00:00:00.000Z (2024-01-31)
                """)
    }

    @Test func aListShowsStatusAndAttempts() throws {
        let jobs = [
            try json(
                #"{"id":"q-1","name":"a","type":"t","priority":"low","status":"running","cancelling":true,"#
                    + #""attempt":2,"retries":3}"#),
            try json(#"{"id":"q-2","name":"b","type":"t","priority":"low","status":"failed","attempt":3,"retries":1}"#),
            try json(
                #"{"id":"q-3","name":"c","type":"t","priority":"low","status":"pending","attempt":0,"retries":1}"#),
        ]
        #expect(
            JobTables.jobs(jobs).text() == """
                ID   NAME  TYPE  PRIORITY  STATUS      ATTEMPT
                q-1  a     t     low       cancelling      2/4
                q-2  b     t     low       failed            3
                q-3  c     t     low       pending
                """)
    }

    @Test func aScheduleHistoryNamesItsRuns() throws {
        let entries = [
            try json(#"{"jobId":"q-2","attempt":1,"status":"completed","durationMs":1500,"worker":"w"}"#),
            try json(#"{"jobId":"q-1","status":"failed","attempt":2,"error":"no\nway","reason":"r"}"#),
        ]
        #expect(
            JobTables.history(entries, of: "q-1").text() == """
                JOB  ATTEMPT  STATUS     TOOK  WORKER  DETAIL
                q-2        1  completed  1.5s  w
                           2  failed                   no way
                """)
    }

    @Test func workersOfOthersAreKnownByTheirCalls() throws {
        let workers = [
            try json(
                #"{"id":"ours","queues":[],"types":["a","b"],"concurrency":20,"running":3,"cpuPercent":12,"#
                    + #""memoryBytes":25165824,"pid":7}"#),
            try json(
                #"{"id":"theirs","queues":[],"types":[],"concurrency":null,"running":null,"cpuPercent":null,"#
                    + #""memoryBytes":null,"pid":null}"#),
        ]
        #expect(
            JobTables.workers(workers).text() == """
                WORKER  QUEUES  TYPES  RUNNING  CPU  MEMORY
                ours    all     a,b       3/20  12%   24MiB
                theirs
                """)
    }
}

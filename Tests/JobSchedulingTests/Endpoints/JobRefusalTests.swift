import TestSupport
import Testing

/// Every bad input gets a clear problem document naming the field, and changes nothing.
struct JobRefusalTests {
    private static let refusals: [(String, Int, String)] = [
        (#"{"type":"simulated"}"#, 400, "name"),
        (#"{"name":"a"}"#, 400, "type"),
        (#"{"name":"a","type":"nope"}"#, 422, "type"),
        (#"{"name":"a","type":"simulated","priority":"huge"}"#, 422, "priority"),
        (#"{"name":"a","type":"simulated","dependencies":["default-000000009999"]}"#, 422, "dependencies"),
        (#"{"name":"a","type":"simulated","dependencies":["nobody"]}"#, 422, "dependencies[0]"),
        (#"{"name":"a","type":"simulated","schedule":"60 * * * *"}"#, 422, "schedule"),
        (#"{"name":"a","type":"simulated","config":{"durationMs":"x"}}"#, 422, "config.durationMs"),
        (#"{"name":"a","type":"simulated","config":{"unknown":1}}"#, 422, "config.unknown"),
        (#"{"name":"a","type":"simulated","config":[]}"#, 400, "config"),
        (#"{"name":"a","type":"simulated","retries":-1}"#, 400, "retries"),
        (#"{"name":"a","type":"simulated","retries":1.5}"#, 400, "retries"),
        (#"{"name":"a","type":"simulated","timeout":0}"#, 400, "timeout"),
        (#"{"name":"a","type":"simulated","runAt":"tomorrow"}"#, 400, "runAt"),
        (#"{"name":"a","type":"simulated","queue":"No Such"}"#, 400, "queue"),
        (#"{"name":"a","type":"simulated","missed":"all"}"#, 400, "missed"),
        (#"{"name":"a","type":"simulated","resources":{"cpu":1}}"#, 422, "resources.cpu"),
        (#"{"name":"a","type":"simulated","unique":{}}"#, 400, "unique.key"),
        (#"{"name":"a","type":"simulated","colour":"red"}"#, 400, "colour"),
    ]

    @Test(arguments: refusals.indices) func namesTheFieldAndStoresNothing(_ i: Int) throws {
        let (body, status, field) = JobRefusalTests.refusals[i]
        let server = try JobServer(works: false)
        let answer = try server.send("POST", "/api/jobs", body)
        #expect(answer.status == status, "\(body): \(answer.text)")
        #expect(answer.json?["field"]?.text == field, "\(body): \(answer.text)")
        #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
    }

    @Test func aBulkWithOneBadJobStoresNone() throws {
        let server = try JobServer(works: false)
        let jobs = #"{"name":"a","type":"simulated"},{"name":"b","type":"nope"}"#
        let answer = try server.send("POST", "/api/jobs/bulk", #"{"jobs":[\#(jobs)]}"#)
        #expect(answer.status == 422 && answer.json?["field"]?.text == "jobs[1].type")
        #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
    }

    @Test func anEditNamesWhatItWaitsForById() throws {
        let server = try JobServer(works: false)
        let id = try server.create(#"{"name":"a","type":"simulated","manual":true}"#)
        let body = #"{"name":"a","type":"simulated","dependencies":["other"]}"#
        let answer = try server.send("PUT", "/api/jobs/\(id)", body)
        #expect(answer.status == 422 && answer.json?["field"]?.text == "dependencies[0]", "\(answer.text)")
        #expect(try server.job(id)["version"]?.number == 1)
    }

    @Test func aCallbackNamesWhatItWaitsForById() throws {
        let server = try JobServer(works: false)
        let callback = #"{"name":"c","type":"simulated","dependencies":["a"]}"#
        let body = #"{"jobs":[{"name":"a","type":"simulated"}],"callback":\#(callback)}"#
        let answer = try server.send("POST", "/api/batches", body)
        #expect(answer.status == 422, "\(answer.text)")
        #expect(answer.json?["field"]?.text == "callback.dependencies[0]", "\(answer.text)")
        #expect(try server.send("GET", "/api/jobs").json?.elements.isEmpty == true)
    }

    @Test func aCycleIsNamed() throws {
        let server = try JobServer(works: false)
        let jobs = [("a", "c"), ("b", "a"), ("c", "b")].map {
            #"{"name":"\#($0)","type":"simulated","dependencies":["\#($1)"]}"#
        }.joined(separator: ",")
        let answer = try server.send("POST", "/api/jobs/bulk", #"{"jobs":[\#(jobs)]}"#)
        #expect(answer.status == 422)
        #expect(answer.json?["detail"]?.text?.contains("a → c → b → a") == true, "\(answer.text)")
    }

    @Test func aBodyThatIsNoJSONIsRefused() throws {
        let server = try JobServer(works: false)
        for body in ["", "{", "[]", "3"] {
            #expect(try server.send("POST", "/api/jobs", body).status == 400, "\(body)")
        }
    }
}

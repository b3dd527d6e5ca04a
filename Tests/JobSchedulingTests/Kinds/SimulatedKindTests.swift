import EventLoops
import JSON
import JobScheduling
import TestSupport
import Testing

struct SimulatedKindTests {
    @Test func withoutAConfigItDoesNothing() async throws {
        #expect(try await KindTrial<SimulatedKind>().run("{}") == nil)
    }

    @Test func attemptsFailAsTold() async throws {
        let trial = KindTrial<SimulatedKind>()
        let config = #"{"failTimes":2,"result":{"a":[1]}}"#
        #expect(try await trial.failure(config, attempt: 1)?.isPermanent == false)
        #expect(try await trial.failure(config, attempt: 2)?.isPermanent == false)
        #expect(try await trial.run(config, attempt: 3) == JSONValue(#"{"a":[1]}"#))
        #expect(try await trial.failure(#"{"failTimes":1,"permanent":true}"#)?.isPermanent == true)
    }

    @Test func itTakesItsTimeAndEndsEarlyWhenToldTo() async throws {
        let startUs = MonotonicClock.nowUs()
        _ = try await KindTrial<SimulatedKind>().run(#"{"durationMs":30,"progress":true}"#)
        #expect(MonotonicClock.nowUs() - startUs >= 30_000)
        await #expect(throws: JobCancelled.self) {
            try await KindTrial<SimulatedKind>().run(#"{"durationMs":3600000}"#, endsAfterUs: 1000)
        }
    }

    @Test func crashesAreForTrialsOnly() async throws {
        #expect(try await KindTrial<SimulatedKind>().refusal(#"{"crash":true}"#)?.field == "config.crash")
        let allowed = KindTrial<SimulatedKind>(["allow-crash": "true"])
        #expect(try await allowed.refusal(#"{"crash":true}"#) == nil)
    }

    @Test(arguments: ["durationMs", "failTimes", "permanent", "crash", "progress"])
    func wrongValuesAreNamed(_ field: String) async throws {
        let problem = try await KindTrial<SimulatedKind>().refusal(#"{"\#(field)":"no"}"#)
        #expect(problem?.field == "config." + field)
        #expect(try await KindTrial<SimulatedKind>().refusal(#"{"durationMs":3600001}"#)?.field == "config.durationMs")
    }

    @Test func progressIsReported() async throws {
        let heard = Journal<JSONValue?>()
        _ = try await KindTrial<SimulatedKind>().run(#"{"durationMs":20,"progress":true}"#, heard: { heard.add($0) })
        await #expect(throws: JobCancelled.self) {
            try await KindTrial<SimulatedKind>().run(
                #"{"durationMs":3600000,"progress":true}"#, endsAfterUs: 1000, heard: { heard.add($0) })
        }
        _ = try await KindTrial<SimulatedKind>().run(#"{"durationMs":20}"#, heard: { heard.add($0) })
        #expect(heard.all == [try JSONValue(#"{"percent":100}"#), try JSONValue(#"{"percent":0}"#), nil])
    }
}

import JSON
import JobScheduling
import Testing

/// Questions and answers as NDJSON.
struct CronAnswerTests {
    @Test func answersWithRuns() {
        #expect(
            CronPreview.answer(
                line:
                    #"{"expression":"30 2 * * *","timeZone":"America/New_York","from":"2024-03-10T00:00:00-05:00","count":2}"#
            )
                == #"{"runs":["2024-03-10T03:00:00-04:00","2024-03-11T02:30:00-04:00"]}"#)
    }

    @Test func theZoneIsUTCAndFiveRunsAreShownUnlessTheQuestionSaysOtherwise() throws {
        let answer = CronPreview.answer(line: #"{"expression":"@hourly","from":"2024-03-10T00:00:00.000001Z"}"#)
        let runs = try answer.withByteView { try JSONValue(parsing: $0) }["runs"]
        #expect(
            runs
                == .array((1...5).map { .string("2024-03-10T0\($0):00:00+00:00") }))
    }

    @Test(arguments: [
        ("", nil), ("[]", nil), (#"{"from":"2024-03-10T00:00:00Z"}"#, "expression"),
        (#"{"expression":"60 * * * *","from":"2024-03-10T00:00:00Z"}"#, "expression"),
        (#"{"expression":"@daily"}"#, "from"), (#"{"expression":"@daily","from":"2024-03-10T00:00:00"}"#, "from"),
        (#"{"expression":"@daily","from":"2024-03-10T00:00:00Z","timeZone":"Mars/Olympus"}"#, "timeZone"),
        (#"{"expression":"@daily","from":"2024-03-10T00:00:00Z","count":0}"#, "count"),
        (#"{"expression":"@daily","from":"2024-03-10T00:00:00Z","count":1001}"#, "count"),
        (#"{"expression":"@daily","from":"2024-03-10T00:00:00Z","until":1}"#, "until"),
    ])
    func refusesAndNamesTheField(_ line: String, _ field: String?) throws {
        let answer = try CronPreview.answer(line: line).withByteView { try JSONValue(parsing: $0) }
        #expect(answer["field"] == field.map { .string($0) })
        guard case .string(let error)? = answer["error"] else {
            Issue.record("\(answer)")
            return
        }
        #expect(!error.isEmpty)
    }

    @Test func aBadExpressionIsNamedByItsOwnField() throws {
        let answer = CronPreview.answer(line: #"{"expression":"0 24 * * *","from":"2024-03-10T00:00:00Z"}"#)
        #expect(answer == #"{"error":"expression is refused: hour: 24 is not from 0 to 23","field":"expression"}"#)
    }
}

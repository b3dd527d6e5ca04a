import Bytes
import JSON
import Services
import Testing

struct FieldsTests {
    @Test func readsWhatIsThere() throws {
        var fields = try fields(
            """
            {"text":"a b","number":7,"flag":false,"wait":"2m","ms":5,"role":"work","one":"x","many":["x","y"],
             "list":[1,"2"],"inner":{"deep":1},"nothing":null}
            """)
        #expect(try fields.string("text") == "a b")
        #expect(try fields.int("number", in: 7...7) == 7)
        #expect(try fields.bool("flag") == false)
        #expect(try fields.durationMs("wait", in: 1...120_000) == 120_000)
        #expect(try fields.durationMs("ms", in: 1...120_000) == 5)
        #expect(try fields.word("role", Role.self) == .work)
        #expect(try fields.strings("one", maxCount: 2) == ["x"])
        #expect(try fields.strings("many", maxCount: 2) == ["x", "y"])
        #expect(try fields.array("list", maxCount: 2) == [.int(1), .string("2")])
        var inner = try #require(try fields.object("inner"))
        #expect(try inner.int("deep", in: 0...9) == 1)
        try inner.finish()
        #expect(try fields.string("nothing") == nil)
        #expect(try fields.string("absent") == nil)
        try fields.finish()
    }

    /// Each wrong value is refused with the name of its field.
    @Test(arguments: [
        #"{"text":1}"#, #"{"text":""}"#, #"{"text":"abcdefghi"}"#, #"{"text":"a\nb"}"#, #"{"text":"a\u007f"}"#,
        #"{"text":["a"]}"#, #"{"text":{}}"#, #"{"text":"éééé1"}"#,
    ])
    func wrongText(_ json: String) throws {
        try expectProblem("text", json) { (fields: inout Fields) throws(Problem) in
            _ = try fields.string("text", max: 8)
        }
    }

    @Test(arguments: ["\"5\"", "5.5", "1e2", "-1", "11", "true", "[]", "9007199254740991"])
    func wrongInteger(_ value: String) throws {
        try expectProblem("count", #"{"count":\#(value)}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.int("count", in: 0...10)
        }
    }

    @Test(arguments: ["\"true\"", "1", "[]"])
    func wrongFlag(_ value: String) throws {
        try expectProblem("on", #"{"on":\#(value)}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.bool("on")
        }
    }

    @Test(arguments: ["0", "1.5", "\"0s\"", "\"1.5s\"", "\"5\"", "\"2h\"", "-1", "true", "\"s\"", "\"\""])
    func wrongDuration(_ value: String) throws {
        try expectProblem("wait", #"{"wait":\#(value)}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.durationMs("wait", in: 1...3_600_000)
        }
    }

    @Test func wrongWordsAndListsSayWhatIsRight() throws {
        let word = try expectProblem("role", #"{"role":"king"}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.word("role", Role.self)
        }
        #expect(word.detail.contains("check, refund, read, work, sell, stock, admin"))
        try expectProblem("many[1]", #"{"many":["x",2]}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.strings("many", maxCount: 9)
        }
        try expectProblem("many", #"{"many":["x","y"]}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.strings("many", maxCount: 1)
        }
        try expectProblem("list", #"{"list":[1,2]}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.array("list", maxCount: 1)
        }
        try expectProblem("list", #"{"list":{}}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.array("list", maxCount: 1)
        }
    }

    @Test(arguments: [
        ("timezone", "timeZone"), ("TimeZone", "timeZone"), ("tz", "timeZone"), ("prioritty", "priority"),
        ("cron", "schedule"), ("args", "config"), ("schedul", "schedule"),
    ]) func anUnknownMemberNamesTheOneThatItMayMean(_ word: String, _ meant: String) throws {
        var fields = try fields("{\"\(word)\":1}")
        for known in ["name", "timeZone", "priority", "schedule", "config"] { _ = fields.value(known) }
        #expect(throws: Problem.field(word, "is not a field that is known here; did you mean \(meant)?")) {
            try fields.finish()
        }
    }

    @Test func unknownMembersAreRefusedInOrderAndByFullName() throws {
        var fields = try fields(#"{"b":1,"inner":{"x":null},"a":2}"#)
        #expect(throws: Problem.field("b", "is not a field that is known here")) { try fields.finish() }
        _ = fields.value("b")
        let inner = try #require(try fields.object("inner"))
        #expect(throws: Problem.field("inner.x", "is not a field that is known here")) { try inner.finish() }
        fields.ignore("a", "never")
        try fields.finish()
    }

    @Test func objectsOnly() throws {
        try expectProblem("inner", #"{"inner":[]}"#) { (fields: inout Fields) throws(Problem) in
            _ = try fields.object("inner")
        }
        #expect(throws: Problem(.invalidRequest, "the body must be a JSON object")) { try Fields(.array([])) }
        #expect(throws: Problem.field("rules[2]", "must be an object")) { try Fields(.int(1), of: "rules[2]") }
        #expect(throws: Problem.field("name", "is required")) { try Int?.none.required("name") }
    }

    @Test func numbersBeyondExactnessAreRefusedWithTheirPlace() {
        func place(_ json: String) -> String? {
            do {
                _ = try json.withByteView { try JSONValue(parsing: $0) }
                return nil
            } catch { return (error as? JSONError)?.field }
        }
        #expect(place(#"{"limit":9007199254740992}"#) == "limit")
        #expect(place(#"{"rules":[{},{"limit":-9007199254740992}]}"#) == "rules[1].limit")
        #expect(place(#"[[1e999]]"#) == "[0][0]")
        #expect(place(#"{"limit":9007199254740991}"#) == nil)
        #expect(place(#"{"limit":01}"#) == nil, "broken text is no field's fault")
    }

    // MARK: Helpers

    private func fields(_ json: String) throws -> Fields {
        try Fields(try json.withByteView { try JSONValue(parsing: $0) })
    }

    @discardableResult
    private func expectProblem(
        _ field: String, _ json: String, _ read: (inout Fields) throws(Problem) -> Void
    ) throws -> Problem {
        var fields = try fields(json)
        do {
            try read(&fields)
        } catch {
            #expect(error.field == field, "\(json): \(error.detail)")
            #expect(error.kind == .invalidRequest)
            #expect(error.detail.hasPrefix(field + " "))
            return error
        }
        Issue.record("\(json) was taken")
        return Problem(.internalError, "")
    }
}

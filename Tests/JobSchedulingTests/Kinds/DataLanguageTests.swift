import Bytes
import JSON
import Testing

@testable import JobScheduling

/// Single steps on single rows.
struct DataLanguageTests {
    private static func row(_ text: String) throws -> DataRow {
        guard case .object(let members) = try JSONValue(text) else { throw RowError("no row") }
        return DataRow(fields: members)
    }

    private static let sample = #"{"a":6,"b":4,"h":0.5,"t":" Ab ","n":"12","l":[1],"f":true,"z":null}"#

    @Test(arguments: [
        (#""a""#, "6"), (#""none""#, "null"), (#""z""#, "null"), ("5", "5"), (#"{"const":"a"}"#, #""a""#),
        (#"{"const":{"x":[1]}}"#, #"{"x":[1]}"#), (#"{"add":["a","b",1]}"#, "11"), (#"{"subtract":["b","a"]}"#, "-2"),
        (#"{"multiply":["a","h"]}"#, "3.0"), (#"{"divide":["a","b"]}"#, "1.5"), (#"{"divide":["a",3]}"#, "2"),
        (#"{"concat":["t",{"const":"-"},"a","none","f"]}"#, #"" Ab -6true""#), (#"{"upper":"t"}"#, #"" AB ""#),
        (#"{"lower":{"trim":"t"}}"#, #""ab""#), (#"{"number":"n"}"#, "12"), (#"{"text":"h"}"#, #""0.5""#),
        (#"{"default":["none","z","b"]}"#, "4"), (#"{"default":["none"]}"#, "null"), (#"{"trim":"none"}"#, "null"),
    ])
    func expressions(_ expression: String, _ value: String) throws {
        let made = try DataExpression(JSONValue(expression), "x")
        #expect(try (made.value(DataLanguageTests.row(DataLanguageTests.sample)) ?? .null).text() == value)
    }

    @Test(arguments: [
        #"{"add":["a","none"]}"#, #"{"add":["a","n"]}"#, #"{"divide":["a",0]}"#, #"{"number":"t"}"#, #"{"upper":"l"}"#,
        #"{"multiply":[9007199254740991,2]}"#, #"{"multiply":[9007199254740991,9007199254740991]}"#,
        #"{"multiply":[1e308,10]}"#, #"{"add":[9007199254740991,1]}"#,
    ])
    func whatCannotBeReckonedMakesTheRowInvalid(_ expression: String) throws {
        let made = try DataExpression(JSONValue(expression), "x")
        #expect(throws: RowError.self) { try made.value(DataLanguageTests.row(DataLanguageTests.sample)) }
    }

    @Test(arguments: [
        ("a", "eq", "6", true), ("a", "eq", "6.0", true), ("a", "eq", #""6""#, false), ("a", "ne", "5", true),
        ("none", "eq", "6", false), ("none", "ne", "6", true), ("a", "lt", "7", true), ("a", "lt", "6", false),
        ("a", "le", "6", true), ("a", "le", "5", false), ("a", "gt", "5.5", true), ("a", "gt", "6", false),
        ("a", "ge", "6", true), ("a", "ge", "7", false), ("n", "lt", "13", false), ("n", "ge", "1", false),
        ("n", "lt", #""13""#, true), ("n", "lt", #""9""#, true), ("a", "in", "[1,6]", true), ("a", "in", "[]", false),
        ("t", "matches", #"" A*""#, true), ("t", "matches", #""A*""#, false), ("a", "matches", #""6""#, false),
        ("a", "exists", "true", true), ("z", "exists", "true", false), ("z", "exists", "false", true),
        ("f", "eq", "true", true), ("none", "le", "1", false), ("n", "le", "13", false),
    ])
    func filters(_ field: String, _ comparison: String, _ value: String, _ holds: Bool) throws {
        let filter = try DataFilter(
            JSONValue(#"{"field":"\#(field)","op":"\#(comparison)","value":\#(value)}"#), "x")
        #expect(try filter.holds(DataLanguageTests.row(DataLanguageTests.sample)) == holds)
    }

    @Test(arguments: [
        (#"{"a":{"type":"integer","min":6,"max":6}}"#, true), (#"{"a":{"max":5.9}}"#, false),
        (#"{"a":{"type":"string"}}"#, false), (#"{"h":{"type":"integer"}}"#, false),
        (#"{"h":{"type":"number"}}"#, true),
        (#"{"n":{"type":"number"}}"#, false), (#"{"none":{"type":"number"}}"#, true),
        (#"{"z":{"required":true}}"#, false),
        (#"{"t":{"min":4,"max":4}}"#, true), (#"{"t":{"min":5}}"#, false), (#"{"t":{"pattern":"*b "}}"#, true),
        (#"{"t":{"pattern":"b"}}"#, false), (#"{"f":{"type":"boolean"}}"#, true), (#"{"l":{"min":1}}"#, false),
    ])
    func validations(_ rules: String, _ isValid: Bool) throws {
        var row = try DataLanguageTests.row(DataLanguageTests.sample)
        let validation = try DataValidation(JSONValue(rules), "x")
        #expect(((try? validation.check(&row, isText: false)) != nil) == isValid)
    }

    /// In CSV a type is also how a value is read.
    @Test func textsBecomeWhatTheyShouldBe() throws {
        let rules = #"{"i":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"s":{"type":"string"}}"#
        let validation = try DataValidation(JSONValue(rules), "x")
        var row = try DataLanguageTests.row(#"{"i":"-5","n":"1e3","b":"false","s":"5"}"#)
        try validation.check(&row, isText: true)
        #expect(row.json.text() == #"{"i":-5,"n":1000.0,"b":false,"s":"5"}"#)
        for bad in [
            #"{"i":"1.5"}"#, #"{"i":"9007199254740992"}"#, #"{"i":"-9223372036854775808"}"#, #"{"n":"0x10"}"#,
            #"{"n":"inf"}"#, #"{"n":" 1"}"#, #"{"b":"yes"}"#,
        ] {
            var row = try DataLanguageTests.row(bad)
            #expect(throws: RowError.self) { try validation.check(&row, isText: true) }
        }
    }

    @Test func groupsKeepTheirOrderAndLeaveBadRowsOut() throws {
        let step = try DataAggregate(
            JSONValue(#"{"by":["k"],"count":true,"sum":["v"],"min":["v"],"max":["v"],"avg":["v"]}"#), "x")
        var groups = DataAggregate.Groups()
        for text in [#"{"k":"b","v":3}"#, #"{"k":1,"v":1}"#, #"{"k":"b","v":4}"#, #"{"k":"1"}"#, #"{"v":2}"#] {
            try groups.add(DataLanguageTests.row(text), step)
        }
        #expect(throws: RowError.self) { try groups.add(DataLanguageTests.row(#"{"k":"b","v":"x"}"#), step) }
        #expect(
            groups.rows(step).map { $0.json.text() } == [
                #"{"k":"b","count":2,"sum_v":7,"min_v":3,"max_v":4,"avg_v":3.5}"#,
                #"{"k":1,"count":1,"sum_v":1,"min_v":1,"max_v":1,"avg_v":1}"#, #"{"k":"1","count":1,"sum_v":0}"#,
                #"{"k":null,"count":1,"sum_v":2,"min_v":2,"max_v":2,"avg_v":2}"#,
            ])
    }
}

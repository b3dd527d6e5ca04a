import JSON
import JobScheduling
import Services
import TestSupport
import Testing

/// Whole jobs: what goes in, what comes out, what is refused.
struct DataProcessingKindTests {
    private let folder: FileFolder
    private let trial: KindTrial<DataProcessingKind>

    init() throws {
        folder = try FileFolder()
        trial = KindTrial(["data-root": folder.path])
    }

    static func config(_ data: String, _ rest: String) -> String {
        let text = JSONValue.string(data).text()
        return #"{"data":\#(text)\#(rest.isEmpty ? "" : ",")\#(rest)}"#
    }

    @Test func rowsGoThroughTheStepsInOrder() async throws {
        let data = """
            sku,price,quantity,note
            A,2.50,4,
            B,x,1,"a ""quoted"", long
            note"
            C,1,0,late
            A,3,2,
            D,7

            """
        let steps = """
            [{"validate":{"sku":{"type":"string","required":true,"max":8},"price":{"type":"number","min":0},
                          "quantity":{"type":"integer"}}},
             {"filter":{"field":"quantity","op":"gt","value":0}},
             {"map":{"sku":{"lower":"sku"},"worth":{"multiply":["price","quantity"]}}},
             {"aggregate":{"by":["sku"],"count":true,"sum":["worth"],"avg":["worth"]}}]
            """
        let result = try await trial.run(DataProcessingKindTests.config(data, #""format":"csv","steps":\#(steps)"#))
        // As it is read by others: 16.0 is the number 16.
        #expect(
            try JSONValue(result?.text() ?? "")
                == JSONValue(
                    """
                    {"read":5,"invalid":2,"filtered":1,"written":1,
                     "errors":[{"line":3,"error":"price must be of the type number, not x"},
                               {"line":7,"error":"has 2 values where 4 fields are named"}],
                     "rows":[{"sku":"a","count":2,"sum_worth":16.0,"avg_worth":8.0}]}
                    """))
    }

    @Test func linesOfObjectsAreReadOneByOne() async throws {
        let data = "{\"a\":1}\r\n\n[1]\n{\"a\":\n{\"a\":2,\"a\":3}\n{\"a\":null,\"b\":[1]}"
        let result = try await trial.run(DataProcessingKindTests.config(data, ""))
        #expect(result?["read"] == .int(5) && result?["invalid"] == .int(3))
        #expect(result?["errors"]?.elements.map { $0["line"]?.number } == [3, 4, 5])
        #expect(try result?["rows"] == JSONValue(#"[{"a":1},{"a":null,"b":[1]}]"#))
    }

    @Test func aFileBelowTheRootIsRead() async throws {
        try folder.write("in/rows.csv", "\u{FEFF}a;b\r\n1;2\r\n")
        let result = try await trial.run(#"{"file":"in/rows.csv","format":"csv","delimiter":";"}"#)
        #expect(try result?["rows"] == JSONValue(#"[{"a":"1","b":"2"}]"#))
        folder.link("link", to: "in/rows.csv")
        for name in ["link", "in", "none", "in/rows.csv/x"] {
            #expect(try await trial.failure(#"{"file":"\#(name)"}"#)?.isPermanent == true, "\(name)")
        }
        let problem = try await KindTrial<DataProcessingKind>().refusal(#"{"file":"a"}"#)
        #expect(problem?.kind == .impossible && problem?.field == "config.file")
    }

    @Test func aResultIsCutAndSaid() async throws {
        let many = String(repeating: "{\"a\":1}\n", count: 1001)
        let result = try await trial.run(DataProcessingKindTests.config(many, ""))
        #expect(result?["written"] == .int(1001) && result?["rowsCut"] == .bool(true))
        #expect(result?["rows"]?.elements.count == 1000)
        let long = String(repeating: "{\"a\":\"\(String(repeating: "x", count: 100_000))\"}\n", count: 3)
        let cut = try await trial.run(DataProcessingKindTests.config(long, ""))
        #expect(cut?["rows"]?.elements.count == 2 && cut?["rowsCut"] == .bool(true))
    }

    @Test func theFirstHundredErrorsAreTold() async throws {
        let result = try await trial.run(
            DataProcessingKindTests.config(String(repeating: "x\n", count: 150) + "{}", ""))
        #expect(result?["invalid"] == .int(150) && result?["errors"]?.elements.count == 100)
        #expect(result?["rows"] == .array([.object([])]) && result?["rowsCut"] == nil)
    }

    @Test func aRunWithNoValidRowHasFailed() async throws {
        let failure = try #require(try await trial.failure(DataProcessingKindTests.config("x\ny\n", "")))
        #expect(failure.isPermanent && failure.message.hasPrefix("all 2 rows are invalid, the first for: {\"line\":1"))
        // One that has no rows at all has done what it could.
        #expect(try await trial.run(DataProcessingKindTests.config("", ""))?["read"] == .int(0))
    }

    @Test func oneBadRowMayFailTheWhole() async throws {
        let failure = try await trial.failure(DataProcessingKindTests.config("{}\n{", #""onInvalid":"fail""#))
        #expect(failure?.isPermanent == true && failure?.message.hasPrefix("line 2: ") == true)
    }

    @Test func aSinkOfTheExecutableTakesTheRows() async throws {
        let taken = Journal<JSONValue>()
        let sink = DataSink("stock") { rows, context in
            for row in rows { taken.add(row) }
            return .string("\(context.jobID) \(rows.count)")
        }
        let trial = KindTrial<DataProcessingKind> { try DataProcessingKind(context: $0, sinks: [sink]) }
        let result = try await trial.run(DataProcessingKindTests.config("{\"a\":1}\n{\"a\":2}", #""sink":"stock""#))
        #expect(try taken.all == [JSONValue(#"{"a":1}"#), JSONValue(#"{"a":2}"#)])
        #expect(result?["result"] == .string("default-000000000007 2") && result?["rows"] == nil)
        #expect(result?["written"] == .int(2))
        #expect(try await trial.refusal(#"{"data":"","sink":"cloud"}"#)?.kind == .impossible)
    }

    @Test func itStopsWhenItIsToldTo() async throws {
        let data = String(repeating: "{\"a\":1,\"b\":[1,2,3,4]}\n", count: 20_000)
        await #expect(throws: JobCancelled.self) {
            try await trial.run(DataProcessingKindTests.config(data, ""), endsAfterUs: 100)
        }
    }

    @Test func groupsHaveAnEnd() async throws {
        let data = (0..<10_001).map { "{\"a\":\($0)}" }.joined(separator: "\n")
        let steps = #""steps":[{"aggregate":{"by":["a"],"count":true}}]"#
        #expect(try await trial.failure(DataProcessingKindTests.config(data, steps))?.isPermanent == true)
    }

    @Test(arguments: [
        (#"{}"#, "data"), (#"{"data":1}"#, "data"), (#"{"data":"","file":"a"}"#, "file"),
        (#"{"file":"../a"}"#, "file"), (#"{"file":"/a"}"#, "file"), (#"{"file":"."}"#, "file"),
        (#"{"data":"","format":"xml"}"#, "format"), (#"{"data":"","delimiter":";"}"#, "delimiter"),
        (#"{"data":"","format":"csv","delimiter":"\""}"#, "delimiter"), (#"{"data":"","steps":[{}]}"#, "steps[0]"),
        (#"{"data":"","steps":[{"sort":{}}]}"#, "steps[0].sort"),
        (#"{"data":"","steps":[{"validate":{"a":{"type":"date"}}}]}"#, "steps[0].validate.a.type"),
        (#"{"data":"","steps":[{"validate":{"a":{"min":2,"max":1}}}]}"#, "steps[0].validate.a.max"),
        (#"{"data":"","steps":[{"validate":{"a":{"type":"number","pattern":"x"}}}]}"#, "steps[0].validate.a.pattern"),
        (#"{"data":"","steps":[{"map":{}}]}"#, "steps[0].map"),
        (#"{"data":"","steps":[{"map":{"a":{"eval":"x"}}}]}"#, "steps[0].map.a.eval"),
        (#"{"data":"","steps":[{"map":{"a":{"add":[1]}}}]}"#, "steps[0].map.a.add"),
        (#"{"data":"","steps":[{"map":{"a":{"divide":[1,2,3]}}}]}"#, "steps[0].map.a.divide"),
        (#"{"data":"","steps":[{"filter":{"field":"a","op":"like","value":1}}]}"#, "steps[0].filter.op"),
        (#"{"data":"","steps":[{"filter":{"field":"a","op":"in","value":1}}]}"#, "steps[0].filter.value"),
        (#"{"data":"","steps":[{"filter":{"field":"a","op":"eq"}}]}"#, "steps[0].filter.value"),
        (#"{"data":"","steps":[{"aggregate":{"by":["a"]}}]}"#, "steps[0].aggregate"),
        (#"{"data":"","steps":[{"aggregate":{"sum":["a","a"]}}]}"#, "steps[0].aggregate.sum"),
        (#"{"data":"","colour":1}"#, "colour"),
    ])
    func wrongConfigsAreRefused(_ config: String, _ field: String) async throws {
        #expect(try await trial.refusal(config)?.field == "config." + field)
    }
}

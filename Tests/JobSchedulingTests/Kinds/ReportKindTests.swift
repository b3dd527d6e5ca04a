import JSON
import JobScheduling
import Services
import TestSupport
import Testing

struct ReportKindTests {
    private static func trial(_ sources: [String: String], fails: Bool = false) -> KindTrial<ReportKind> {
        let sources = sources.sorted { $0.key < $1.key }.map { name, rows in
            ReportSource(name) { _ in
                if fails { throw SetUpFailure("out of reach") }
                return try JSONValue(rows).elements
            }
        }
        return KindTrial { ReportKind(context: $0, sources: sources) }
    }

    private static let nasty = """
        [{"name":"a,\\"b\\"","n":-5},{"n":1.5,"x":"=1+1"},{"name":"line\\r\\nend","x":"@SUM(A1)","l":[1,"<"]},
         {"name":"<b>&'","x":"-5"},{"name":" ok","x":null}]
        """

    @Test func asCSV() async throws {
        let result = try await ReportKindTests.trial(["a": ReportKindTests.nasty]).run(
            #"{"report":"a","format":"csv"}"#)
        #expect(
            result?["text"]?.text
                == [
                    "name,n,x,l", "\"a,\"\"b\"\"\",-5,,", ",1.5,'=1+1,", "\"line\r\nend\",,'@SUM(A1),\"[1,\"\"<\"\"]\"",
                    "<b>&',,'-5,", " ok,,,", "",
                ].joined(separator: "\r\n"))
        #expect(result?["rows"] == .int(5) && result?["format"] == .string("csv"))
        #expect(result?["contentType"]?.text?.hasPrefix("text/csv") == true)
    }

    @Test(arguments: ["=", "+", "-", "@", "\\t", "\\r", "\\n"])
    func whatASpreadsheetWouldRunIsText(_ beginning: String) async throws {
        let rows = #"[{"\#(beginning)x":"\#(beginning)cmd"}]"#
        let text = try await ReportKindTests.trial(["a": rows]).run(#"{"report":"a","format":"csv"}"#)?["text"]?.text
        for cell in text?.split(separator: "\r\n") ?? [] {
            #expect(cell.hasPrefix("'") || cell.hasPrefix("\"'"), "\(cell)")
        }
    }

    @Test func asHTML() async throws {
        let text = try await ReportKindTests.trial(["a<b": ReportKindTests.nasty]).run(
            #"{"report":"a<b","format":"html"}"#)?["text"]?.text
        #expect(text?.contains("<h2>a&lt;b</h2>") == true)
        #expect(text?.contains("<tr><th>name</th><th>n</th><th>x</th><th>l</th></tr>") == true)
        #expect(text?.contains("<tr><td>&lt;b&gt;&amp;&#39;</td><td></td><td>-5</td><td></td></tr>") == true)
        #expect(text?.contains("<td>[1,&quot;&lt;&quot;]</td>") == true)
    }

    @Test func asJSONIsWhatTheSourceSaid() async throws {
        let result = try await ReportKindTests.trial(["a": ReportKindTests.nasty]).run(#"{"report":"a"}"#)
        let text = try JSONValue(try #require(result?["text"]?.text))
        #expect(try text["sections"]?["a"] == JSONValue(ReportKindTests.nasty))
        #expect(text["generatedAt"] == result?["generatedAt"] && text["generatedAt"]?.timeMs != nil)
    }

    @Test func allIsEverySourceInOrder() async throws {
        let trial = ReportKindTests.trial(["a": #"[{"x":1}]"#, "b": #"[{"y":2,"x":3}]"#])
        let result = try await trial.run(#"{"report":"all","format":"csv"}"#)
        #expect(result?["text"]?.text == "report,x,y\r\na,1,\r\nb,3,2\r\n")
    }

    @Test func aReportThatIsTooLargeFailsForGood() async throws {
        func rows(_ count: Int) -> String { #"[{"x":"\#(String(repeating: "x", count: count))"}]"# }
        // The head line, two line ends.
        let most = ReportKind.mostBytes - 5
        let fits = try await ReportKindTests.trial(["a": rows(most)]).run(#"{"report":"a","format":"csv"}"#)
        #expect(fits?["text"]?.text?.utf8.count == ReportKind.mostBytes)
        let failure = try await ReportKindTests.trial(["a": rows(most + 1)]).failure(
            #"{"report":"a","format":"csv"}"#)
        #expect(failure?.isPermanent == true && failure?.message.contains("262145") == true)
    }

    @Test func aSourceOutOfReachIsAFailureThatMayPass() async throws {
        await #expect(throws: SetUpFailure.self) {
            try await ReportKindTests.trial(["a": "[]"], fails: true).run(#"{"report":"a"}"#)
        }
    }

    @Test(arguments: [
        (#"{}"#, "report"), (#"{"report":"stock"}"#, "report"), (#"{"report":"a","format":"pdf"}"#, "format"),
        (#"{"report":"a","to":"ann"}"#, "to"),
    ])
    func wrongConfigsAreRefused(_ config: String, _ field: String) async throws {
        #expect(try await ReportKindTests.trial(["a": "[]"]).refusal(config)?.field == "config." + field)
    }
}

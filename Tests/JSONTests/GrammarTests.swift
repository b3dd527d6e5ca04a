import Bytes
import JSON
import Testing

/// Which texts RFC 8259 takes and which it refuses.
@Suite struct GrammarTests {
    @Test(
        arguments: [
            "null", " true ", "false", "0", "-0", "12", "-12", "1.5", "1e3", "1E+3", "1e-3", "0.0", "-0.5e10", "\"\"",
            "[]",
            "{}", "[1,2]", "[ 1 , 2 ]", "{\"a\":1}", "{ \"a\" : [ { } ] , \"b\" : null }", "\t\r\n 1 \t\r\n",
            #""\"\\\/\b\f\n\r\t\u0041\uD83D\uDE00""#, "\"\u{7F}é日😀\"", "[[[[]]]]", "9007199254740991",
            "[\"\",\"\"]", "{\"\":\"\"}", "\"\u{FFFF}\u{10FFFF}\"",
        ])
    func takes(_ text: String) throws {
        _ = try text.withByteView { view throws(JSONError) in try JSONValue(parsing: view) }
        try text.withByteView { view in
            var reader = JSONReader(view)
            try reader.skip()
            try reader.end()
        }
    }

    @Test(
        arguments: [
            "", " ", "nul", "nulll", "True", "tru", "01", "-", "-01", "+1", ".5", "1.", "1.e3", "1e", "1e+", "0x10",
            "1a",
            "NaN", "Infinity", "-Infinity", "\"", "\"a", "'a'", "\"\n\"", "\"\u{0}\"", "\"\t\"", #""\x""#, #""\u12""#,
            #""\u12G4""#, #""\uD800""#, #""\uDC00""#, #""\uD800\u0041""#, #""\uD83Dx""#, #""\uD800\uD800""#, #""\""#,
            "[",
            "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}",
            "{,\"a\":1}", "{a:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "{1:1}", "{\"a\":1}}", "1 2", "[] []",
            "// x\n1", "[1]/**/", "\u{FEFF}1", "\u{B}1", "1\u{0}", "-a", "--1", "[1,,2]",
            "[\"a\":1]",
        ])
    func refuses(_ text: String) {
        let error = #expect(throws: JSONError.self) {
            try text.withByteView { view in try JSONValue(parsing: view) }
        }
        #expect(error?.kind == .malformed)
    }

    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xE2, 0x82], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xFE], [0xF0, 0x9F, 0x98],
        ] as [[UInt8]])
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        // At every place of an eight-byte word, since strings are scanned by words.
        for lead in 0..<9 {
            let text = [0x22] + [UInt8](repeating: 0x61, count: lead) + bytes + [0x22]
            let error = #expect(throws: JSONError.self) { try text.withByteView { try JSONValue(parsing: $0) } }
            #expect(error?.kind == .malformed && error?.offset == lead + 1)
        }
    }

    @Test func followsNestingToTheStatedDepth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try nested(32).withByteView { try JSONValue(parsing: $0) }
        let error = #expect(throws: JSONError.self) { try nested(33).withByteView { try JSONValue(parsing: $0) } }
        #expect(error?.kind == .tooDeep && error?.offset == 32)
        let deep = #expect(throws: JSONError.self) {
            try nested(100_000).withByteView { view in
                var reader = JSONReader(view)
                try reader.skip()
            }
        }
        #expect(deep?.kind == .tooDeep)
    }

    @Test func namesTheKeyThatOccursTwice() {
        let error = #expect(throws: JSONError.self) {
            try #"{"rules":[{"limit":1,"burst":2,"\u006cimit":3}]}"#.withByteView { try JSONValue(parsing: $0) }
        }
        #expect(error?.kind == .repeatedKey && error?.field == "rules[0].limit")
        #expect(error?.description.contains("\"rules[0].limit\" occurs twice") == true)
    }
}

import Bytes
import JSON
import Testing

@Suite struct WriterTests {
    private func write(_ body: (inout JSONWriter) -> Void) -> String {
        let buffer = ByteBuffer()
        var json = JSONWriter(buffer)
        body(&json)
        return buffer.view.string
    }

    @Test func setsCommas() {
        let text = write { json in
            json.beginObject()
            json.field("int", -5)
            json.field("yes", true)
            json.field("literal", "x")
            json.field("text", String("q\"") + "\n")
            json.field("view", ByteView("v"))
            json.field("none", nil)
            json.field("half", 0.5)
            json.field("at", Timestamp(us: 0))
            json.beginArray("list")
            json.value(1)
            json.value("two")
            json.beginObject()
            json.endObject()
            json.beginArray()
            json.endArray()
            json.raw(ByteView("{\"raw\":1}"))
            json.endArray()
            json.beginObject("inner")
            json.key(escaping: "k\"")
            json.value(nil)
            json.endObject()
            json.endObject()
        }
        #expect(
            text == #"{"int":-5,"yes":true,"literal":"x","text":"q\"\n","view":"v","none":null,"half":0.5,"#
                + #""at":"1970-01-01T00:00:00.000Z","list":[1,"two",{},[],{"raw":1}],"inner":{"k\"":null}}"#)
    }

    @Test func numbersThatJSONLacksBecomeNull() {
        #expect(write { $0.value(Double.infinity) } == "null")
        #expect(write { $0.value(Double.nan) } == "null")
        #expect(write { $0.value(1e20) } == "1e+20")
        #expect(write { $0.value(3.0) } == "3.0")
        #expect(write { $0.value(Int.min) } == "-9223372036854775808")
    }

    @Test func escapesAtEveryPlace() {
        for lead in 0..<17 {
            let text = String(repeating: "a", count: lead) + "\"\\\u{1}\u{1F}\u{8}\n\r\t/é😀\u{7F}z"
            let expected = String(repeating: "a", count: lead) + #"\"\\\u0001\u001f\u0008\n\r\t/é😀"# + "\u{7F}z"
            #expect(write { $0.value(text) } == "\"\(expected)\"")
        }
    }

    @Test func bytesThatAreNotUTF8BecomeReplacementCharacters() {
        let bytes: [UInt8] = [0x61, 0xFF, 0xC3, 0x28, 0xED, 0xA0, 0x80, 0x62]
        #expect(
            write { json in bytes.withByteView { json.value($0) } } == "\"a\u{FFFD}\u{FFFD}(\u{FFFD}\u{FFFD}\u{FFFD}b\""
        )
    }

    @Test func printsPretty() throws {
        let value = try #"{"a":[1,2.5,[]],"b":{},"c":null}"#.withByteView { try JSONValue(parsing: $0) }
        #expect(
            value.text(pretty: true) == """
                {
                  "a": [
                    1,
                    2.5,
                    []
                  ],
                  "b": {},
                  "c": null
                }
                """)
        #expect(value.text() == #"{"a":[1,2.5,[]],"b":{},"c":null}"#)
        #expect(value["a"]?.kind == .array && value["z"] == nil)
    }
}

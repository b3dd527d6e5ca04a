import Bytes
import JSON
import Testing

@Suite struct ReaderTests {
    private func read<Value>(_ text: String, _ body: (inout JSONReader) throws -> Value) throws -> Value {
        try text.withByteView { view in
            var reader = JSONReader(view)
            let value = try body(&reader)
            try reader.end()
            return value
        }
    }

    private func kind(_ text: String, _ body: (inout JSONReader) throws -> Void) -> JSONError.Kind? {
        do {
            try read(text, body)
            return nil
        } catch {
            return (error as? JSONError)?.kind
        }
    }

    @Test func readsAnObjectMemberByMember() throws {
        let text =
            #" { "limit" : 10 , "na\u006de":"a\nb","tags":["x",true,null,1.5], "skipped":{"deep":[1,{"a":2}]} } "#
        var seen: [String] = []
        try read(text) { reader in
            var keys = try reader.beginObject()
            while let key = try reader.nextKey(&keys) {
                if key == "limit" {
                    seen.append("limit=\(try reader.readInt())")
                } else if key == "name" {
                    seen.append("name=\(try reader.readString().string)")
                } else if key == "tags" {
                    try reader.beginArray()
                    while try reader.nextElement() {
                        switch try reader.peekKind {
                        case .string: seen.append(try reader.readString().string)
                        case .bool: seen.append("\(try reader.readBool())")
                        case .number: seen.append("\(try reader.readDouble())")
                        default: try reader.readNull()
                        }
                    }
                } else {
                    try reader.skip()
                }
            }
        }
        #expect(seen == ["limit=10", "name=a\nb", "x", "true", "1.5"])
    }

    @Test func integersAreExactAndBounded() throws {
        for text in ["0", "-1", "9007199254740991", "-9007199254740991"] {
            #expect(try read(text) { try $0.readInt() } == Int(text))
        }
        #expect(try read("-0") { try $0.readInt() } == 0)
        for text in ["9007199254740992", "-9007199254740992", "9007199254740993", "99999999999999999999999999"] {
            #expect(kind(text) { _ = try $0.readInt() } == .outOfRange, "\(text)")
        }
        for text in ["0.5", "-2.5", "1e-1", "120e-2", "1.05e1", "9007199254740991.5", "0.1e-999999999999999999999"] {
            #expect(kind(text) { _ = try $0.readInt() } == .notInteger, "\(text)")
        }
        for text in ["01", "1.", "1e", "-", "-x", "1x", "1-1", "00"] {
            #expect(kind(text) { _ = try $0.readInt() } == .malformed, "\(text)")
        }
    }

    /// An integer is a matter of the value, not of how it is written.
    @Test func integersMayBeWrittenOut() throws {
        for (text, value) in [
            ("1.0", 1), ("1e3", 1000), ("1E0", 1), ("-2.50e1", -25), ("0.001e+3", 1), ("1200e-2", 12), ("-0.0", 0),
            ("0e999999999999999999999", 0), ("0.000", 0), ("100.00", 100), ("1.10e2", 110), ("10.0e-1", 1),
            ("9007199254740991.0", 9_007_199_254_740_991), ("-9007199254740.991e3", -9_007_199_254_740_991),
            ("9007199254740991000000000000000000000000e-24", 9_007_199_254_740_991),
        ] {
            #expect(try read(text) { try $0.readInt() } == value, "\(text)")
            #expect(try text.withByteView { try JSONValue(parsing: $0) } == .int(value), "\(text)")
        }
        for text in [
            "9007199254740992.0", "1e16", "-1e999", "99999999999999999999999999.0", "1e99999999999999999999999",
            "12345678901234567890123e2",
        ] {
            #expect(kind(text) { _ = try $0.readInt() } == .outOfRange, "\(text)")
        }
        #expect(try "1e300".withByteView { try JSONValue(parsing: $0) } == .double(1e300))
        #expect(try "1.5".withByteView { try JSONValue(parsing: $0) } == .double(1.5))
    }

    /// However a key is spelled, it stands in its object once.
    @Test(
        arguments: [
            (#"{"a":1,"b":2,"a":3}"#, "a"), (#"{"a":1,"a":1}"#, "a"), (#"{"":1,"":1}"#, ""),
            (#"{"cost":1,"c\u006fst":2}"#, "cost"), (#"{"c\u006fst":1,"x":{"y":[1,"}"]},"cost":2}"#, "cost"),
            (#"{"é":1,"\u00e9":2}"#, "é"), (#"{"a":{"k":1},"b":{"k":1,"k":2}}"#, "k"),
        ])
    func aKeyThatOccursTwiceIsRefused(_ text: String, _ key: String) {
        func object(_ reader: inout JSONReader) throws {
            var keys = try reader.beginObject()
            while try reader.nextKey(&keys) != nil {
                if try reader.peekKind == .object { try object(&reader) } else { try reader.skip() }
            }
        }
        let error = #expect(throws: JSONError.self) { try read(text) { try object(&$0) } }
        #expect(error?.kind == .repeatedKey && error?.field == key)
        #expect(error?.description.contains("\"\(key)\" occurs twice") == true)
    }

    /// Keys whose hashes are equal are told apart, and objects do not mind each other's keys.
    @Test func otherKeysAreTaken() throws {
        let names = (0..<300).map { "\"k\($0)k\":[{\"k\($0)k\":{}}]" }
        try read("{" + names.joined(separator: ",") + "}") { reader in
            var count = 0
            var keys = try reader.beginObject()
            while try reader.nextKey(&keys) != nil {
                count += 1
                try reader.beginArray()
                while try reader.nextElement() {
                    var inner = try reader.beginObject()
                    while try reader.nextKey(&inner) != nil { try reader.skip() }
                }
            }
            #expect(count == 300)
        }
    }

    @Test func doublesAreBounded() throws {
        #expect(try read("-2.5e-3") { try $0.readDouble() } == -0.0025)
        #expect(try read("9007199254740993") { try $0.readDouble() } == 9_007_199_254_740_992)
        #expect(kind("1e999") { _ = try $0.readDouble() } == .outOfRange)
    }

    @Test func saysWhichKindWasFound() {
        #expect(kind("\"5\"") { _ = try $0.readInt() } == .wrongKind(expected: .number, found: .string))
        #expect(kind("5") { _ = try $0.readString() } == .wrongKind(expected: .string, found: .number))
        #expect(kind("[]") { try $0.beginObject() } == .wrongKind(expected: .object, found: .array))
        #expect(kind("{}") { try $0.beginArray() } == .wrongKind(expected: .array, found: .object))
        #expect(kind("null") { _ = try $0.readBool() } == .wrongKind(expected: .bool, found: .null))
        #expect(kind("true") { try $0.readNull() } == .wrongKind(expected: .null, found: .bool))
        #expect(kind("") { _ = try $0.readInt() } == .malformed)
        let error = #expect(throws: JSONError.self) {
            try read(#"{"cost": "5"}"#) { reader in
                var keys = try reader.beginObject()
                _ = try reader.nextKey(&keys)
                _ = try reader.readInt()
            }
        }
        #expect(error?.description == "expected a number at byte 9, found a string")
    }

    @Test func textsCompareAndUnescape() throws {
        try read(#""plain""#) { reader in
            let text = try reader.readString()
            #expect(!text.hasEscapes && text == "plain" && !(text == "plai") && text.string == "plain")
        }
        try read(#""a\"\\\/\b\f\n\r\tb\u00e9\uD83D\uDE00\u0000z""#) { reader in
            let text = try reader.readString()
            let expected = "a\"\\/\u{8}\u{C}\n\r\tbé😀\u{0}z"
            #expect(text.hasEscapes && text.string == expected)
            #expect(text == "a\"\\/\u{8}\u{C}\n\r\tbé😀\u{0}z" && !(text == "a"))
            let buffer = ByteBuffer()
            text.append(to: buffer)
            #expect(buffer.view.array == Array(expected.utf8))
        }
    }
}

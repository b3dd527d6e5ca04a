import Bytes
import Digests
import Services
import Testing

struct DurationTextTests {
    @Test(
        arguments: [
            ("0ms", 0), ("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("7d", 604_800_000),
            ("007s", 7000), ("36525d", 3_155_760_000_000), ("36526d", nil), ("999999999999999d", nil),
            ("1000000000000000ms", nil), ("", nil), ("s", nil), ("5", nil), ("5 s", nil), (" 5s", nil), ("5s ", nil),
            ("-5s", nil), ("+5s", nil), ("1.5s", nil), ("5S", nil), ("5sec", nil), ("٥s", nil), ("5m5s", nil),
        ] as [(String, Int?)])
    func reads(_ text: String, _ ms: Int?) { #expect(DurationText.parseMs(text) == ms) }

    @Test(arguments: [(0, 0), (-5, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (Int.max, Int.max / 1000 + 1)])
    func roundsUp(_ value: Int, _ units: Int) { #expect(value.dividedRoundingUp(by: 1000) == units) }
}

struct KeyTextTests {
    @Test(arguments: [
        ("user-1_2.3~4@x", "user-1_2.3~4@x"), ("a:b", "a%3Ab"), ("{x}", "%7Bx%7D"), ("a b", "a%20b"),
        ("a%3Ab", "a%253Ab"), ("é", "%C3%A9"), ("\u{0}\n", "%00%0A"), ("", ""), ("*/?(),", "%2A%2F%3F%28%29%2C"),
    ])
    func escapes(_ text: String, _ escaped: String) { #expect(KeyText.escaped(text) == escaped) }

    @Test func longTextStandsAsItsDigest() {
        let longest = String(repeating: "x", count: 256)
        #expect(KeyText.escaped(longest) == longest)
        let longer = longest + "x"
        #expect(KeyText.escaped(longer) == "sha256~" + hex(longer))
        #expect(KeyText.escaped(longer).utf8.count == 71)
    }

    @Test func textThatLooksLikeADigestIsNotTakenForOne() {
        let long = String(repeating: "x", count: 300)
        let digest = KeyText.escaped(long)
        #expect(KeyText.escaped(digest) != digest)
        // API keys are written in a shorter form, which stays as it is.
        let key = "sha256~" + String(repeating: "a", count: 32)
        #expect(KeyText.escaped(key) == key)
    }

    @Test func distinctTextsStayDistinct() {
        var seen: [String: [UInt8]] = [:]
        for a in 0...255 {
            for b in stride(from: 0, through: 255, by: 5) {
                let bytes = [UInt8(a), UInt8(b)]
                let key = ByteBuffer()
                bytes.withByteView { KeyText.appendEscaped($0, to: key) }
                #expect(seen.updateValue(bytes, forKey: key.view.string) == nil)
                #expect(!key.view.buffer.contains { [0x3A, 0x7B, 0x7D, 0x20].contains($0) })
            }
        }
    }

    private func hex(_ text: String) -> String {
        let buffer = ByteBuffer()
        text.withByteView { SHA256.hash($0) }.withByteView { buffer.append(hex: $0) }
        return buffer.view.string
    }
}

struct HexTests {
    @Test(
        arguments: [
            ("", []), ("00ff", [0, 255]), ("AbCd", [0xAB, 0xCD]), ("f", nil), ("0g", nil), ("0x", nil), (" 0", nil),
            ("é", nil), ("@0", nil), ("G0", nil), ("/0", nil), (":0", nil),
        ] as [(String, [UInt8]?)])
    func decodes(_ text: String, _ bytes: [UInt8]?) { #expect(Hex.decode(text) == bytes) }
}

struct IfMatchTests {
    @Test func anythingAndNamedVersions() throws {
        try IfMatch.anything.check(7)
        try IfMatch.versions([3, 7]).check(7)
        #expect(throws: Problem(.preconditionFailed, "it has changed: its version is 8 now")) {
            try IfMatch.versions([3, 7]).check(8)
        }
        #expect(throws: Problem.self) { try IfMatch.versions([]).check(1) }
    }
}

struct ProblemTests {
    @Test func everyKindHasAStatusOfItsFamilyAndATitle() {
        for kind in Problem.Kind.allCases {
            #expect((400...599).contains(kind.status))
            #expect(kind.title.utf8CodeUnitCount > 0)
            #expect(kind.rawValue.utf8.allSatisfy { $0 == 0x2D || (0x61...0x7A).contains($0) })
        }
        #expect(Problem.field("a.b", "is wrong").detail == "a.b is wrong")
        #expect(Problem.impossible("a", "cannot be").kind.status == 422)
    }
}

struct StreamIDTests {
    @Test(arguments: ["0-0", "0-1", "1700000000000-3", "18446744073709551615-18446744073709551615"])
    func isReadAsItStands(_ text: String) { #expect(StreamID(text)?.text == text) }

    @Test(arguments: [
        "", "-", "1", "1-", "-1", "+1-1", "1-+1", "-1-1", "1-1-1", "1-x", "18446744073709551616-0", " 1-1", "1-1\n",
    ])
    func isRefused(_ text: String) { #expect(StreamID(text) == nil) }

    @Test(
        arguments: [
            ("0-0", nil), ("0-1", "0-0"), ("5-0", "4-18446744073709551615"), ("5-7", "5-6"),
        ] as [(String, String?)])
    func hasOneBefore(_ text: String, _ before: String?) {
        #expect(StreamID(text)?.predecessor?.text == before)
    }

    @Test func comparesAsRedisDoes() throws {
        let ids = ["0-1", "0-2", "9-0", "10-0", "10-11"].compactMap(StreamID.init)
        #expect(ids.count == 5 && ids.sorted() == ids && ids.shuffled().sorted() == ids)
    }
}

import Bytes
import Testing

struct ByteViewTests {
    @Test func comparesWholeContents() {
        #expect(ByteView("abc") == ByteView("abc"))
        #expect(!(ByteView("abc") == ByteView("abd")))
        #expect(!(ByteView("abc") == ByteView("ab")))
        #expect(ByteView("abc") == "abc" as StaticString)
        #expect(!(ByteView("abc") == "abcd" as StaticString))
        #expect(ByteView.empty == "" as StaticString)
        #expect(ByteView.empty.isEmpty)
    }

    @Test func prefixes() {
        #expect(ByteView("abc").hasPrefix("ab"))
        #expect(ByteView("abc").hasPrefix("abc"))
        #expect(ByteView("abc").hasPrefix(""))
        #expect(!ByteView("abc").hasPrefix("abcd"))
        #expect(!ByteView("abc").hasPrefix("b"))
        #expect(ByteView("abc").hasPrefix(ByteView("ab")))
        #expect(!ByteView("ab").hasPrefix(ByteView("abc")))
    }

    @Test func ignoresCaseOfLettersOnly() {
        #expect(ByteView("Content-LENGTH").equalsIgnoringCase("content-length"))
        #expect(!ByteView("content-lengt").equalsIgnoringCase("content-length"))
        // '@' and '`', '[' and '{' differ by the same bit as letters of two cases.
        #expect(!ByteView("@").equalsIgnoringCase("`"))
        #expect(!ByteView("[").equalsIgnoringCase("{"))
        #expect(UInt8(ascii: "Z").asciiLowercased == UInt8(ascii: "z"))
        #expect(UInt8(ascii: "[").asciiLowercased == UInt8(ascii: "["))
    }

    /// Eight bytes are compared at once; each counts as it does alone, wherever it stands.
    @Test func ignoresCaseInLongTextAsInShort() {
        for place in 0..<19 {
            for byte in UInt8.min...UInt8.max {
                var text = [UInt8]("Transfer-Encoding19".utf8)
                let wanted = [UInt8]("transfer-encoding19".utf8)
                text[place] = byte
                let isEqual = text.withByteView { $0.equalsIgnoringCase("transfer-encoding19") }
                #expect(isEqual == (byte.asciiLowercased == wanted[place]), "\(byte) at \(place)")
            }
        }
        #expect(!ByteView("@@@@@@@@").equalsIgnoringCase("````````"))
        #expect(!ByteView("[[[[[[[[").equalsIgnoringCase("{{{{{{{{"))
    }

    @Test func findsBytes() {
        let view = ByteView("a,b,c")
        #expect(view.firstIndex(of: UInt8(ascii: ",")) == 1)
        #expect(view.firstIndex(of: UInt8(ascii: ","), from: 2) == 3)
        #expect(view.firstIndex(of: UInt8(ascii: ","), from: 4) == nil)
        #expect(view.firstIndex(of: UInt8(ascii: ","), from: 99) == nil)
        #expect(view.lastIndex(of: UInt8(ascii: ",")) == 3)
        #expect(view.lastIndex(of: UInt8(ascii: "x")) == nil)
        #expect(ByteView.empty.firstIndex(of: 0) == nil)
        #expect(ByteView.empty.lastIndex(of: 0) == nil)
    }

    @Test func slices() {
        let view = ByteView("hello")
        #expect(view.slice(1, 3) == "el" as StaticString)
        #expect(view.slice(5, 5).isEmpty)
        #expect(view.dropFirst(2) == "llo" as StaticString)
        #expect(view.dropFirst(9).isEmpty)
        #expect(view.array == Array("hello".utf8))
        #expect(view[4] == UInt8(ascii: "o"))
    }

    @Test func trimsSpacesAndTabsAtTheEndsOnly() {
        #expect(ByteView(" \t a b\t ").trimmed == "a b" as StaticString)
        #expect(ByteView(" \t ").trimmed.isEmpty)
        #expect(ByteView("\na\r").trimmed == "\na\r" as StaticString)
    }

    @Test(
        arguments: [
            ("0", 0), ("007", 7), ("999999999999999999", 999_999_999_999_999_999), ("", nil), ("-1", nil), ("+1", nil),
            (" 1", nil), ("1.0", nil), ("1a", nil), ("1000000000000000000", nil), ("/", nil), (":", nil),
        ] as [(String, Int?)])
    func decimalDigitsAndNothingElse(_ text: String, _ value: Int?) {
        #expect(text.withByteView { $0.decimal } == value)
    }

    @Test func textThatIsNoUTF8IsReplaced() {
        #expect([0x61, 0xFF, 0x62].withByteView { $0.string } == "a\u{FFFD}b")
    }

    @Test func emptyArraysAndStringsGiveEmptyViews() {
        #expect([UInt8]().withByteView { $0.count } == 0)
        #expect("".withByteView { $0.count } == 0)
    }

    /// Every length up to three words, every single changed byte, and lengths padded with zeros: all hash apart.
    @Test func hashesTellLengthsAndBytesApart() {
        var seen = Set<UInt64>()
        var count = 0
        for length in 0...24 {
            let zeros = [UInt8](repeating: 0, count: length)
            seen.insert(zeros.withByteView { $0.hash(seed: 1) })
            count += 1
            for i in 0..<length {
                var changed = zeros
                changed[i] = 1
                seen.insert(changed.withByteView { $0.hash(seed: 1) })
                count += 1
            }
        }
        #expect(seen.count == count)
        #expect(ByteView("abc").hash(seed: 1) == ByteView("abc").hash(seed: 1))
        #expect(ByteView("abc").hash(seed: 1) != ByteView("abc").hash(seed: 2))
    }
}

import JSON
import Testing

@testable import JobScheduling

/// Whatever a worker says of a failure is kept readable and short.
struct ErrorTextTests {
    @Test func aTracebackKeepsItsLines() {
        let text = "Traceback:\r\n\tFile \"a.py\"\nValueError: no\u{0}\u{1B}[0m"
        #expect(ErrorText.cleaned(.string(text)) == "Traceback:\n\tFile \"a.py\"\nValueError: no  [0m")
    }

    @Test func ofALongOneBothEndsAreKept() {
        for filler in ["x", "é", "😀", "\n"] {
            let text = "first line " + String(repeating: filler, count: 5000) + " ValueError: last line"
            let cleaned = ErrorText.cleaned(.string(text))
            #expect(cleaned.utf8.count <= ErrorText.mostBytes && cleaned.utf8.count > 900)
            #expect(cleaned.hasPrefix("first line") && cleaned.hasSuffix("ValueError: last line"))
        }
    }

    @Test func whatSaysNothingSaysSo() {
        for value in [nil, .string(""), .string(" \n\t")] as [JSONValue?] {
            #expect(ErrorText.cleaned(value) == "failed without a word")
        }
        #expect(ErrorText.cleaned(.object([.init("code", .int(5))])) == #"{"code":5}"#)
    }
}

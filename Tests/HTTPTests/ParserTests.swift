import Bytes
import Testing

@testable import HTTP

/// The parser alone: bytes in, events out.
@Suite struct ParserTests {
    @Test func readsAHead() {
        let run = ParserRun(
            Array("POST /a/b?c=d&e HTTP/1.1\r\nHost: x:1\r\nContent-Length:  3\t\r\nEmpty:\r\n\r\nabc".utf8))
        #expect(
            run.items == [
                .head(
                    """
                    post /a/b?c=d&e 1.1
                    /a/b ? c=d&e
                    true false false 3
                    Host: x:1
                    Content-Length: 3
                    Empty: 
                    """), .body(Array("abc".utf8)),
            ])
    }

    @Test func readsChunksAndDropsTrailers() {
        let run = ParserRun(
            Array(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n \r\n0\r\nA: b\r\n\r\nGET"
                    .utf8))
        #expect(run.items.last == .body(Array("hello ".utf8)))
    }

    @Test(arguments: CorpusCase.all)
    func answersTheCorpus(_ example: CorpusCase) {
        let run = ParserRun(example.bytes)
        #expect(run.violation == nil)
        #expect(run.statuses == example.statuses)
    }

    /// The same bytes in two pieces, cut at every place, and byte by byte.
    @Test(arguments: CorpusCase.all)
    func readsTheSameHoweverCut(_ example: CorpusCase) {
        let whole = ParserRun(example.bytes)
        let step = max(1, example.bytes.count / 700)
        for cut in stride(from: 0, through: example.bytes.count, by: step) {
            let run = ParserRun(example.bytes, cuts: [cut])
            guard run == whole else {
                Issue.record("cut at \(cut): \(run) is not \(whole)")
                return
            }
        }
        if example.bytes.count < 3000 {
            #expect(ParserRun(example.bytes, cuts: Array(0..<example.bytes.count)) == whole)
        }
    }

    @Test func countsTheHeadToTheByte() {
        let frame = "GET /".utf8.count + " HTTP/1.1\r\nHost: a\r\n\r\n".utf8.count
        for (extra, statuses) in [(-1, [200]), (0, [200]), (1, [431])] {
            let path = String(repeating: "a", count: ParserRun.headBytes - frame + extra)
            #expect(ParserRun(Array("GET /\(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)).statuses == statuses)
        }
    }

    @Test func countsTheBodyToTheByte() {
        for (length, status) in [(ParserRun.bodyBytes, 200), (ParserRun.bodyBytes + 1, 413)] {
            let body = String(repeating: "x", count: length)
            let head = "POST / HTTP/1.1\r\nHost: a\r\n"
            #expect(ParserRun(Array("\(head)Content-Length: \(length)\r\n\r\n\(body)".utf8)).statuses == [status])
            let size = String(length, radix: 16)
            let chunked = "\(head)Transfer-Encoding: chunked\r\n\r\n\(size)\r\n\(body)\r\n0\r\n\r\n"
            #expect(ParserRun(Array(chunked.utf8)).statuses == [status])
        }
    }

    /// A body that is nearly all framing costs the reader without end and is refused, whichever way it is done.
    @Test func refusesAFloodOfFraming() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let chunk = "1;\(String(repeating: "e", count: 1000))\r\nx\r\n"
        #expect(ParserRun(Array((head + String(repeating: chunk, count: 10) + "0\r\n\r\n").utf8)).statuses == [200])
        #expect(ParserRun(Array((head + String(repeating: chunk, count: 30) + "0\r\n\r\n").utf8)).statuses == [400])
    }
}

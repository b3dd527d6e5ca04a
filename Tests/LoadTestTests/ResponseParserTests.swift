import Bytes
import Testing

@testable import LoadTest

struct ResponseParserTests {
    /// What the parser finds when the bytes arrive in the given pieces.
    private func parse(_ pieces: [ByteView]) -> (found: [(status: Int, body: String, closes: Bool)], invalid: String?) {
        let received = ByteBuffer()
        var parser = ResponseParser()
        var found: [(Int, String, Bool)] = []
        for piece in pieces {
            received.append(piece)
            loop: while !received.isEmpty {
                switch parser.parse(received.view) {
                case .incomplete: break loop
                case .invalid(let what): return (found, what)
                case .response(let response):
                    let body = received.view.slice(response.body.lowerBound, response.body.upperBound).string
                    found.append((response.status, body, response.closes))
                    received.consume(response.body.upperBound)
                }
            }
        }
        return (found, received.isEmpty ? nil : "left over")
    }

    private let stream =
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 17\r\nConnection: keep-alive\r\n\r\n{\"allowed\":true}\n"
        + "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"
        + "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"
        + "HTTP/1.1 429 Too Many Requests\r\ncontent-length:   2  \r\nContent-Type: text/plain\r\n\r\n\r\n"
        + "HTTP/1.1 503 \r\nCONTENT-LENGTH: 0\r\nconnection: Close\r\n\r\n"

    private func expectAll(_ pieces: [ByteView], _ split: String) {
        let (found, invalid) = parse(pieces)
        #expect(invalid == nil, "\(split)")
        #expect(found.map(\.status) == [200, 204, 304, 429, 503], "\(split)")
        #expect(found.map(\.body) == ["{\"allowed\":true}\n", "", "", "\r\n", ""], "\(split)")
        #expect(found.map(\.closes) == [false, false, false, false, true], "\(split)")
    }

    @Test func readsTheSameAtEverySplitPoint() {
        stream.withByteView { bytes in
            for split in 0...bytes.count {
                expectAll([bytes.slice(0, split), bytes.slice(split, bytes.count)], "split at \(split)")
            }
        }
    }

    @Test func readsTheSameInPiecesOfAnySize() {
        stream.withByteView { bytes in
            for size in 1...40 {
                let pieces = stride(from: 0, to: bytes.count, by: size).map {
                    bytes.slice($0, min($0 + size, bytes.count))
                }
                expectAll(pieces, "pieces of \(size)")
            }
        }
    }

    @Test(arguments: [
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ])
    func refusesWhatItCannotCount(_ text: String) {
        let (found, invalid) = text.withByteView { parse([$0]) }
        #expect(found.isEmpty)
        #expect(invalid != nil && invalid != "left over")
    }

    @Test func refusesAHeadWithoutEnd() {
        let endless = "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: ResponseParser.maxHeadBytes)
        #expect(endless.withByteView { parse([$0]) }.invalid == "a head without end")
    }

    @Test func countsOccurrences() {
        func count(_ text: String, _ part: String) -> Int {
            text.withByteView { text in part.withByteView { text.occurrences(of: $0) } }
        }
        #expect(count(#"[{"allowed":true},{"allowed":false},{"allowed":true}]"#, #""allowed":true"#) == 2)
        #expect(count("aaaa", "aa") == 2)
        #expect(count("", "a") == 0)
        #expect(count("a", "") == 0)
        #expect(count("xa", "a") == 1)
    }
}

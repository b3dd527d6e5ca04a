import Bytes

@testable import HTTP

/// What came out of a parser, in a form that does not depend on where `data` was cut.
struct ParserRun: Equatable {
    enum Item: Equatable {
        case head(String)
        case body([UInt8])
        case refused(Int, String)
    }

    var items: [Item] = []
    /// How many bytes were done with at the end, of all that were given.
    var consumed = 0
    /// Whether a rule that every run keeps was broken.
    var violation: String?

    static let headBytes = 16384
    static let headerCount = 8
    static let bodyBytes = 5000

    var statuses: [Int] {
        items.compactMap {
            switch $0 {
            case .body: 200
            case .refused(let status, _): status
            case .head: nil
            }
        }
    }

    /// Feeds `bytes` to a parser in pieces that end at `cuts` and at the end, as a connection does: what is consumed is
    /// given no more. Each piece is in memory of exactly its size, so that a sanitizer sees a read beyond it.
    init(_ bytes: [UInt8], cuts: [Int] = []) {
        var parser = RequestParser(headBytes: ParserRun.headBytes)
        let fields = HeaderFields(capacity: ParserRun.headerCount)
        var body: [UInt8] = []
        var isRefused = false
        for end in cuts + [bytes.count] where !isRefused {
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(end, 1))
            defer { memory.deallocate() }
            memory.initialize(from: bytes, count: end)
            feeding: while true {
                let piece = ByteView(base: memory + consumed, count: end - consumed)
                let event = parser.next(piece, fields)
                guard parser.consumed >= 0, parser.consumed <= piece.count else {
                    violation = "consumed \(parser.consumed) of \(piece.count)"
                    return
                }
                let start = consumed
                consumed += parser.consumed
                switch event {
                case .needMore: break feeding
                case .head:
                    parser.bodyLimit = ParserRun.bodyBytes
                    items.append(.head(ParserRun.describe(parser.head, fields, memory + start)))
                    body = []
                case .data(let at, let count):
                    guard at >= 0, count > 0, at + count == parser.consumed else {
                        violation = "data at \(at), \(count) of \(parser.consumed) consumed"
                        return
                    }
                    body += ByteView(base: memory + start + at, count: count).array
                    guard body.count <= ParserRun.bodyBytes else {
                        violation = "a body of \(body.count) bytes"
                        return
                    }
                case .end: items.append(.body(body))
                case .refused(let refusal):
                    items.append(.refused(refusal.status, ByteView(refusal.detail).string))
                    isRefused = true
                    if parser.next(piece, fields) != event { violation = "refused, then not" }
                    // How much of it was looked at before the refusal is nobody's business.
                    consumed = 0
                    break feeding
                }
            }
        }
    }

    private static func describe(_ head: RequestHead, _ fields: HeaderFields, _ base: UnsafePointer<UInt8>) -> String {
        func text(_ start: Int, _ end: Int) -> String { ByteView(base: base + start, count: end - start).string }
        var lines = [
            "\(head.method) \(text(head.targetStart, head.targetEnd)) 1.\(head.minorVersion)",
            "\(text(head.pathStart, head.pathEnd)) ? \(text(head.queryStart, head.targetEnd))",
            "\(head.keepsAlive) \(head.expectsContinue) \(head.isChunked) \(head.contentLength)",
        ]
        for i in 0..<fields.count {
            let field = fields[i]
            let name = text(Int(field.nameStart), Int(field.nameStart + field.nameCount))
            lines.append("\(name): \(text(Int(field.valueStart), Int(field.valueStart + field.valueCount)))")
        }
        return lines.joined(separator: "\n")
    }
}

import Bytes

/// The parser of responses: takes bytes from the front of a buffer, gives events. One response at a time.
struct ResponseParser {
    enum Event: Equatable {
        case needMore
        /// A final head; interim ones are passed over.
        case head
        /// The next `count` bytes of the buffer are of the body; the caller consumes them.
        case data(count: Int)
        case end
        case failed(HTTPClientError)
    }

    private enum State { case head, counted, untilClose, chunkSize, chunkData, chunkEnd, trailers, done }

    private static let headBytes = 65536

    /// Whether the response answers HEAD and so has no body.
    let isHead: Bool
    private(set) var status = 0
    private(set) var fields: [(name: String, value: String)] = []
    /// Whether the connection can be used again after this response.
    private(set) var keepsAlive = true
    private var state = State.head
    private var remaining = 0

    init(isHead: Bool) { self.isHead = isHead }

    mutating func next(_ input: ByteBuffer) -> Event {
        while true {
            switch state {
            case .head:
                guard let line = nextLine(input) else {
                    return input.count > ResponseParser.headBytes ? .failed(.tooLarge) : .needMore
                }
                if let event = takeHeadLine(line) { return event }
            case .counted:
                if remaining == 0 {
                    state = .done
                    continue
                }
                return takeData(input)
            case .untilClose:
                return input.isEmpty ? .needMore : .data(count: input.count)
            case .chunkData:
                if remaining == 0 {
                    state = .chunkEnd
                    continue
                }
                return takeData(input)
            case .chunkSize, .chunkEnd, .trailers:
                guard let line = nextLine(input) else { return .needMore }
                if let event = takeFramingLine(line) { return event }
            case .done: return .end
            }
        }
    }

    /// What the end of the connection means at this point.
    func endOfInput() -> Event {
        state == .untilClose || state == .done ? .end : .failed(.connectionLost)
    }

    private mutating func takeData(_ input: ByteBuffer) -> Event {
        if input.isEmpty { return .needMore }
        let count = min(input.count, remaining)
        remaining -= count
        return .data(count: count)
    }

    private func nextLine(_ input: ByteBuffer) -> String? {
        let view = input.view
        guard let lineFeed = view.firstIndex(of: 0x0A) else { return nil }
        let end = lineFeed > 0 && view[lineFeed - 1] == 0x0D ? lineFeed - 1 : lineFeed
        let line = view.slice(0, end).string
        input.consume(lineFeed + 1)
        return line
    }

    private mutating func takeHeadLine(_ line: String) -> Event? {
        if status == 0 {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]), code >= 100, code <= 599
            else { return .failed(.malformed("\(line.prefix(40))")) }
            status = code
            keepsAlive = words[0] != "HTTP/1.0"
            return nil
        }
        if line.isEmpty { return finishHead() }
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            return .failed(.malformed("a field without a colon"))
        }
        let value = line[line.utf8.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        fields.append((String(line[..<colon]), String(value)))
        return nil
    }

    private mutating func finishHead() -> Event? {
        if status < 200 {
            status = 0
            fields = []
            return nil
        }
        func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value.lowercased() }
        if let connection = field("connection") { keepsAlive = keepsAlive && connection != "close" }
        if isHead || status == 204 || status == 304 {
            state = .counted
        } else if field("transfer-encoding") == "chunked" {
            state = .chunkSize
        } else if let length = field("content-length") {
            guard let length = Int(length), length >= 0 else { return .failed(.malformed("Content-Length")) }
            remaining = length
            state = .counted
        } else {
            keepsAlive = false
            state = .untilClose
        }
        return .head
    }

    private mutating func takeFramingLine(_ line: String) -> Event? {
        switch state {
        case .chunkSize:
            guard let size = Int(line.prefix { $0 != ";" && $0 != " " }, radix: 16), size >= 0 else {
                return .failed(.malformed("a chunk size"))
            }
            remaining = size
            state = size > 0 ? .chunkData : .trailers
        case .chunkEnd:
            if !line.isEmpty { return .failed(.malformed("the end of a chunk")) }
            state = .chunkSize
        default:
            if line.isEmpty { state = .done }
        }
        return nil
    }
}

import Bytes

/// The parser of requests by RFC 9112: bytes in, events out. It does no I/O, keeps no bytes and allocates nothing.
///
/// Call `next` with all bytes that have arrived and not been consumed; after each call `consumed` of them are done with.
/// While it answers `needMore` in a head, the same bytes must be passed again at the same place with more behind them.
/// However the bytes are cut into pieces, the events are the same, but for where `data` is cut.
///
/// It is strict where leniency lets two parties disagree on where a message ends: lines end in CRLF and nothing else,
/// one space separates the parts of a request line, no field is folded, no white space stands before a colon, and a
/// length is given once, by one of the two means.
struct RequestParser {
    enum Event: Equatable {
        /// All that could be read has been; `consumed` may still be more than 0.
        case needMore
        /// The head is complete and lies in the consumed bytes; `head` and the field table describe it. Set
        /// `bodyLimit` before the next call.
        case head
        /// Bytes of the body lie at `start`, the last `count` of the consumed ones.
        case data(start: Int, count: Int)
        /// The request is complete. The next call begins the next request.
        case end
        /// The connection cannot go on. The parser answers the same to every later call.
        case refused(Refusal)
    }

    enum State: UInt8 {
        case requestLine, fields, body, chunkSize, chunkData, chunkDataEnd, trailers, refused
    }

    let headBytes: Int
    /// How large a body the current request may have.
    var bodyLimit = Int.max
    /// The current request, once its head is complete.
    private(set) var head = RequestHead()
    /// How many of the bytes of the last call are done with.
    private(set) var consumed = 0
    private(set) var state = State.requestLine
    private var refusal = Refusal.headTooLarge

    /// Where the line that is being read starts, within the bytes of a call, and how far it was searched for its end.
    private var lineStart = 0
    private var searched = 0
    /// What is left of the body or chunk.
    private var remaining = 0
    /// Body bytes so far, what chunk framing cost beyond the usual, and what the trailers have taken.
    private var received = 0
    private var excess = 0
    private var trailerBytes = 0
    private var checks = FieldChecks()

    /// - Parameter headBytes: the limit for the head, and again for trailers; at most 65,535.
    init(headBytes: Int) {
        precondition(headBytes <= 65535, "offsets within a head are kept in 16 bits")
        self.headBytes = headBytes
    }

    /// Whether no whole line of a request has been seen.
    var isBetweenRequests: Bool { state == .requestLine }

    /// Whether a head is complete and its request is not.
    var isInBody: Bool { state.rawValue >= State.body.rawValue && state != .refused }

    @inline(__always)
    mutating func next(_ bytes: ByteView, _ fields: HeaderFields) -> Event {
        consumed = 0
        switch state {
        case .requestLine, .fields: return readHead(bytes, fields)
        case .body: return readBody(bytes)
        case .refused: return .refused(refusal)
        default: return readChunked(bytes, fields)
        }
    }

    // MARK: Head

    private mutating func readHead(_ bytes: ByteView, _ fields: HeaderFields) -> Event {
        while true {
            let found = bytes.firstIndex(of: 0x0A, from: searched)
            guard let lineFeed = found, lineFeed < headBytes, lineFeed > lineStart,
                bytes.base[lineFeed &- 1] == 0x0D
            else { return readIncomplete(bytes, lineFeed: found) }
            let lineEnd = lineFeed &- 1
            if state == .requestLine {
                // One empty line before a request line is some clients' old habit (RFC 9112, section 2.2).
                if lineEnd == 0 {
                    lineStart = 2
                    searched = 2
                    continue
                }
                head = RequestHead()
                checks = FieldChecks()
                fields.removeAll()
                if let refusal = RequestLine.parse(bytes.base, lineStart, lineEnd, &head) { return refuse(refusal) }
                state = .fields
            } else if lineEnd == lineStart {
                if let refusal = checks.finish(&head) { return refuse(refusal) }
                consumed = lineFeed &+ 1
                beginBody()
                return .head
            } else {
                guard let field = Fields.parse(bytes.base, lineStart, lineEnd) else { return refuse(Fields.malformed) }
                guard fields.append(field) else { return refuse(.tooManyFields) }
                if let refusal = checks.take(field, bytes.base, &head) { return refuse(refusal) }
            }
            lineStart = lineFeed &+ 1
            searched = lineStart
        }
    }

    /// A line of the head that is not there whole, too long, or badly ended. What is wrong with its beginning comes
    /// first, since that shows first when the bytes come one by one.
    private mutating func readIncomplete(_ bytes: ByteView, lineFeed: Int?) -> Event {
        if state == .requestLine, !RequestLine.canBegin(bytes.dropFirst(lineStart)) {
            return refuse(RequestLine.noMethod)
        }
        if bytes.count >= headBytes, lineFeed ?? headBytes >= headBytes { return refuse(.headTooLarge) }
        if lineFeed != nil { return refuse(Lines.bare) }
        searched = bytes.count
        return .needMore
    }

    private mutating func beginBody() {
        lineStart = 0
        searched = 0
        received = 0
        remaining = max(head.contentLength, 0)
        state = head.isChunked ? .chunkSize : .body
        excess = 0
        trailerBytes = 0
        bodyLimit = .max
    }

    private mutating func refuse(_ reason: Refusal) -> Event {
        state = .refused
        refusal = reason
        return .refused(reason)
    }

    private mutating func finish() -> Event {
        state = .requestLine
        lineStart = 0
        searched = 0
        return .end
    }

    // MARK: Body

    private mutating func readBody(_ bytes: ByteView) -> Event {
        if remaining == 0 { return finish() }
        if remaining > bodyLimit - received { return refuse(.bodyTooLarge) }
        if bytes.isEmpty { return .needMore }
        return take(bytes)
    }

    private mutating func take(_ bytes: ByteView) -> Event {
        let count = min(bytes.count, remaining)
        remaining -= count
        received += count
        consumed += count
        return .data(start: consumed - count, count: count)
    }

    private mutating func readChunked(_ bytes: ByteView, _ fields: HeaderFields) -> Event {
        while true {
            let rest = bytes.dropFirst(consumed)
            switch state {
            case .chunkData:
                if rest.isEmpty { return .needMore }
                let event = take(rest)
                if remaining == 0 { state = .chunkDataEnd }
                return event
            case .chunkDataEnd:
                if rest.isEmpty { return .needMore }
                guard rest[0] == 0x0D, rest.count < 2 || rest[1] == 0x0A else { return refuse(Chunks.badEnd) }
                if rest.count < 2 { return .needMore }
                consumed += 2
                state = .chunkSize
            default:
                guard let lineFeed = rest.firstIndex(of: 0x0A, from: searched) else {
                    searched = rest.count
                    if state == .trailers {
                        if trailerBytes + rest.count >= headBytes { return refuse(.headTooLarge) }
                    } else if rest.count >= Chunks.lineBytes {
                        return refuse(Chunks.badSize)
                    }
                    return .needMore
                }
                searched = 0
                consumed += lineFeed + 1
                let refusal =
                    state == .trailers ? readTrailer(rest, lineFeed, fields) : readChunkSize(rest, lineFeed, fields)
                if let refusal { return refuse(refusal) }
                if state == .requestLine { return finish() }
            }
        }
    }

    /// Reads the line that says how long the next chunk is.
    private mutating func readChunkSize(_ bytes: ByteView, _ lineFeed: Int, _ fields: HeaderFields) -> Refusal? {
        guard lineFeed < Chunks.lineBytes, lineFeed > 0, bytes.base[lineFeed - 1] == 0x0D,
            let size = Chunks.size(bytes.slice(0, lineFeed - 1))
        else { return Chunks.badSize }
        if size > bodyLimit - received { return .bodyTooLarge }
        // A sender is allowed its framing, not a flood of it: extensions or one-byte chunks without end.
        excess = max(0, excess + lineFeed - 16 - 2 * size)
        if excess > Chunks.excessBytes { return Chunks.tooMuchFraming }
        remaining = size
        state = size > 0 ? .chunkData : .trailers
        return nil
    }

    /// Reads a line after the last chunk. Trailers are checked, counted, and dropped: nothing here has a use for them.
    private mutating func readTrailer(_ bytes: ByteView, _ lineFeed: Int, _ fields: HeaderFields) -> Refusal? {
        trailerBytes += lineFeed + 1
        if trailerBytes > headBytes { return .headTooLarge }
        guard lineFeed > 0, bytes.base[lineFeed - 1] == 0x0D else { return Lines.bare }
        if lineFeed == 1 {
            state = .requestLine
            return nil
        }
        guard Fields.parse(bytes.base, 0, lineFeed - 1) != nil else { return Fields.malformed }
        // The head's fields count too: the limit is one for the request.
        checks.trailers += 1
        return fields.count + checks.trailers > fields.capacity ? .tooManyFields : nil
    }
}

import Bytes

/// `field-name ":" OWS field-value OWS` (RFC 9112, section 5).
enum Fields {
    static let malformed = Refusal.malformed("A header field is malformed.")

    /// Reads the line at `start..<end`, its CRLF not included. Nil for a folded line, white space around the name, or
    /// a character that cannot be there.
    static func parse(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> HeaderField? {
        var at = start
        while at < end, Characters.isToken(base[at]) { at &+= 1 }
        guard at > start, at < end, base[at] == 0x3A else { return nil }
        let nameCount = at &- start
        at &+= 1
        while at < end, base[at] == 0x20 || base[at] == 0x09 { at &+= 1 }
        var valueEnd = end
        while valueEnd > at, base[valueEnd &- 1] == 0x20 || base[valueEnd &- 1] == 0x09 { valueEnd &-= 1 }
        guard Characters.areValue(base, at, valueEnd) else { return nil }
        return HeaderField(
            nameStart: UInt16(truncatingIfNeeded: start), nameCount: UInt16(truncatingIfNeeded: nameCount),
            valueStart: UInt16(truncatingIfNeeded: at), valueCount: UInt16(truncatingIfNeeded: valueEnd &- at))
    }
}

/// The fields that decide where the message ends and whether the connection goes on, as they come by.
struct FieldChecks {
    private var sawHost = false
    private var sawTransferEncoding = false
    private var wantsClose = false
    /// Trailer fields so far.
    var trailers = 0

    @inline(__always)
    mutating func take(_ field: HeaderField, _ base: UnsafePointer<UInt8>, _ head: inout RequestHead) -> Refusal? {
        switch field.nameCount {
        case 4, 6, 10, 14, 17: takeKnown(field, base, &head)
        default: nil
        }
    }

    private mutating func takeKnown(
        _ field: HeaderField, _ base: UnsafePointer<UInt8>, _ head: inout RequestHead
    ) -> Refusal? {
        let name = ByteView(base: base + Int(field.nameStart), count: Int(field.nameCount))
        let value = ByteView(base: base + Int(field.valueStart), count: Int(field.valueCount))
        switch field.nameCount {
        case 4 where name.equalsIgnoringCase("host"):
            head.hostStart = field.valueStart
            head.hostCount = field.valueCount
            return takeHost(value)
        case 6 where name.equalsIgnoringCase("origin"): head.isFromBrowser = true
        case 6 where name.equalsIgnoringCase("expect"):
            // An HTTP/1.0 client cannot know it (RFC 9110, section 10.1.1).
            guard head.minorVersion > 0 else { return nil }
            guard value.equalsIgnoringCase("100-continue") else {
                return Refusal(status: 417, detail: "The only expectation this server meets is 100-continue.")
            }
            head.expectsContinue = true
        case 10 where name.equalsIgnoringCase("connection"): takeConnection(value, &head)
        case 14 where name.equalsIgnoringCase("content-length"): return takeLength(value, &head)
        case 14 where name.equalsIgnoringCase("sec-fetch-site"): head.isFromBrowser = true
        case 17 where name.equalsIgnoringCase("transfer-encoding"): return takeEncoding(value, &head)
        default: break
        }
        return nil
    }

    /// What only the whole head can tell.
    func finish(_ head: inout RequestHead) -> Refusal? {
        if !sawHost, head.minorVersion > 0 { return .malformed("The Host field is missing.") }
        if sawTransferEncoding {
            if head.contentLength >= 0 {
                return .malformed("Content-Length and Transfer-Encoding exclude each other.")
            }
            if head.minorVersion == 0 { return .malformed("HTTP/1.0 has no Transfer-Encoding.") }
        }
        if wantsClose { head.keepsAlive = false }
        return nil
    }

    private mutating func takeHost(_ value: ByteView) -> Refusal? {
        if sawHost { return .malformed("The Host field occurs twice.") }
        sawHost = true
        for i in 0..<value.count where !Characters.isHost(value.base[i]) {
            return .malformed("The Host field is malformed.")
        }
        return nil
    }

    private mutating func takeConnection(_ value: ByteView, _ head: inout RequestHead) {
        var rest = value
        while true {
            let end = rest.firstIndex(of: 0x2C) ?? rest.count
            let option = rest.slice(0, end).trimmed
            if option.equalsIgnoringCase("close") {
                wantsClose = true
            } else if option.equalsIgnoringCase("keep-alive") {
                head.keepsAlive = true
            }
            if end == rest.count { return }
            rest = rest.dropFirst(end + 1)
        }
    }

    private func takeLength(_ value: ByteView, _ head: inout RequestHead) -> Refusal? {
        if head.contentLength >= 0 { return .malformed("Content-Length occurs twice.") }
        guard let length = value.decimal else { return .malformed("Content-Length is not a number of bytes.") }
        head.contentLength = length
        return nil
    }

    private mutating func takeEncoding(_ value: ByteView, _ head: inout RequestHead) -> Refusal? {
        if sawTransferEncoding { return .malformed("Transfer-Encoding occurs twice.") }
        sawTransferEncoding = true
        if value.equalsIgnoringCase("chunked") {
            head.isChunked = true
            return nil
        }
        // Without chunked as the last coding nobody can tell where the body ends (RFC 9112, section 6.3).
        guard let comma = value.lastIndex(of: 0x2C), value.dropFirst(comma + 1).trimmed.equalsIgnoringCase("chunked"),
            !contains(value.slice(0, comma), "chunked")
        else { return .malformed("The last and only transfer coding must be chunked.") }
        return Refusal(status: 501, detail: "The only transfer coding this server knows is chunked.")
    }

    private func contains(_ list: ByteView, _ option: StaticString) -> Bool {
        var rest = list
        while true {
            let end = rest.firstIndex(of: 0x2C) ?? rest.count
            if rest.slice(0, end).trimmed.equalsIgnoringCase(option) { return true }
            if end == rest.count { return false }
            rest = rest.dropFirst(end + 1)
        }
    }
}

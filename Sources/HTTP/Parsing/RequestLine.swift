import Bytes

/// `method SP request-target SP HTTP-version` (RFC 9112, section 3).
enum RequestLine {
    static let noMethod = Refusal.malformed("The request line does not begin with a method.")
    private static let noVersion = Refusal.malformed("The request line does not end in a space and HTTP/1.1.")
    private static let badTarget = Refusal.malformed("The request target is malformed.")

    /// Whether `bytes`, the beginning of a request line, may become one: a look at what comes before the first space,
    /// so that a client that speaks something else entirely need not be waited for.
    static func canBegin(_ bytes: ByteView) -> Bool {
        var at = 0
        while at < bytes.count, at < 16, Characters.isToken(bytes.base[at]) { at &+= 1 }
        if at == bytes.count || at == 16 { return true }
        // A line end may be that of an empty line or of a line that will be refused once it is whole.
        return bytes.base[at] == 0x20 && at > 0 || bytes.base[at] == 0x0D || bytes.base[at] == 0x0A
    }

    /// Reads the line at `start..<end`, its CRLF not included.
    static func parse(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ head: inout RequestHead) -> Refusal? {
        var at = start
        while at < end, Characters.isToken(base[at]) { at &+= 1 }
        guard at > start, at < end, base[at] == 0x20 else { return noMethod }
        let methodEnd = at
        at &+= 1
        head.targetStart = at
        while at < end, Characters.isTarget(base[at]) { at &+= 1 }
        head.targetEnd = at
        guard at < end, base[at] == 0x20 else { return at == end ? noVersion : badTarget }
        if let refusal = version(ByteView(base: base + at + 1, count: end - at - 1), &head) { return refusal }
        guard let method = HTTPMethod(ByteView(base: base + start, count: methodEnd - start)) else {
            return Refusal(status: 501, detail: "This server does not know the request method.")
        }
        head.method = method
        return target(base, &head)
    }

    private static func version(_ text: ByteView, _ head: inout RequestHead) -> Refusal? {
        guard text.count == 8, text.hasPrefix("HTTP/"), text[5].isDigit, text[6] == 0x2E, text[7].isDigit else {
            return noVersion
        }
        guard text[5] == 0x31 else { return Refusal(status: 505, detail: "This server speaks HTTP/1.1 and HTTP/1.0.") }
        head.minorVersion = text[7] == 0x30 ? 0 : 1
        head.keepsAlive = head.minorVersion == 1
        return nil
    }

    private static func target(_ base: UnsafePointer<UInt8>, _ head: inout RequestHead) -> Refusal? {
        let text = ByteView(base: base + head.targetStart, count: head.targetEnd - head.targetStart)
        guard text.count > 0 else { return badTarget }
        head.pathStart = head.targetStart
        if text[0] == 0x2F {
            // Origin form, as nearly always.
        } else if text == "*" {
            guard head.method == .options else { return badTarget }
        } else if let authority = schemeLength(text) {
            var at = authority
            while at < text.count, text[at] != 0x2F, text[at] != 0x3F {
                guard Characters.isHost(text[at]) else { return badTarget }
                at += 1
            }
            guard at > authority else { return badTarget }
            head.pathStart = head.targetStart + at
        } else {
            return badTarget
        }
        let path = text.dropFirst(head.pathStart - head.targetStart)
        if let mark = path.firstIndex(of: 0x3F) {
            head.pathEnd = head.pathStart + mark
            head.queryStart = head.pathEnd + 1
        } else {
            head.pathEnd = head.targetEnd
            head.queryStart = head.targetEnd
        }
        return nil
    }

    /// The length of `http://` or `https://` at the front; an absolute target must be taken (RFC 9112, section 3.2.2).
    private static func schemeLength(_ text: ByteView) -> Int? {
        for scheme in ["http://", "https://"] as [StaticString] {
            let length = scheme.utf8CodeUnitCount
            if text.count >= length, text.slice(0, length).equalsIgnoringCase(scheme) { return length }
        }
        return nil
    }
}

enum Lines {
    static let bare = Refusal.malformed("A line ends in a bare line feed.")
}

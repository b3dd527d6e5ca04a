import Bytes
import JSON

/// Answering: `beginReply`, any number of `addHeader`, then `finishReply` or `beginStream`. An answer that was begun and
/// not finished may be begun anew, as when its handler fails halfway.
extension Exchange {
    /// Writes the status line and the Date field.
    /// - Parameter status: a final status, 200 to 599.
    public func beginReply(_ status: Int) {
        if let output = replyBuffer() { begin(status, output) }
    }

    private func begin(_ status: Int, _ output: ByteBuffer) {
        output.truncate(to: connection.committed)
        reply = .begun
        self.status = status
        Status.appendLine(status, to: output)
        output.append(connection.server.date.view(nowUs: connection.server.loop.nowUs))
        if let stash, !stash.isEmpty { output.append(stash.view) }
    }

    /// Adds a header field. Control characters in the value, which could forge further fields, become spaces.
    public func addHeader(_ name: StaticString, _ value: ByteView) {
        addHeader(name) { $0.append(value) }
    }

    public func addHeader(_ name: StaticString, _ value: StaticString) {
        guard let output = begunBuffer() else { return }
        Exchange.append(name, value, to: output)
    }

    @_disfavoredOverload
    public func addHeader(_ name: StaticString, _ value: String) {
        addHeader(name) { $0.append(value) }
    }

    public func addHeader(_ name: StaticString, decimal value: Int) {
        guard let output = begunBuffer() else { return }
        output.append(name)
        output.append(": ")
        output.append(decimal: value)
        output.append("\r\n")
    }

    /// Adds a header field whose value `write` appends.
    public func addHeader(_ name: StaticString, _ write: (ByteBuffer) -> Void) {
        guard let output = begunBuffer() else { return }
        Exchange.append(name, to: output, write)
    }

    /// Adds whole header lines, each ending in CR LF. The caller vouches that no value holds a line break.
    public func addHeaderLines(_ write: (ByteBuffer) -> Void) {
        if let output = begunBuffer() { write(output) }
    }

    /// Keeps a header field for whatever answer this request will get, a problem included. Only before `beginReply`.
    public func stashHeader(_ name: StaticString, _ value: String) {
        stashHeader(name) { $0.append(value) }
    }

    public func stashHeader(_ name: StaticString, _ write: (ByteBuffer) -> Void) {
        if stash == nil { stash = ByteBuffer() }
        if let stash { Exchange.append(name, to: stash, write) }
    }

    /// The header lines that are kept so far; they hold until one is added.
    public var stashed: ByteView { stash?.view ?? .empty }

    /// The same with whole header lines, each ending in CR LF. The caller vouches that no value holds a line break.
    public func stashHeaderLines(_ write: (ByteBuffer) -> Void) {
        if stash == nil { stash = ByteBuffer() }
        if let stash { write(stash) }
    }

    /// Ends the answer. `Content-Length` is filled in; a HEAD request and the statuses 204 and 304 get no body, but the
    /// length of what `body` writes.
    /// - Parameters:
    ///   - contentType: nil when there is no body.
    ///   - body: appends the body to the buffer, and touches nothing else of it.
    public func finishReply(contentType: StaticString? = nil, body: (ByteBuffer) -> Void = { _ in }) {
        if let output = begunBuffer() { finish(output, contentType, body) }
    }

    /// A whole answer: what `beginReply`, `addHeaderLines` and `finishReply` would make of it.
    public func reply(
        _ status: Int, contentType: StaticString?, headerLines: (ByteBuffer) -> Void, body: (ByteBuffer) -> Void
    ) {
        guard let output = replyBuffer() else { return }
        begin(status, output)
        headerLines(output)
        finish(output, contentType, body)
    }

    private func finish(_ output: ByteBuffer, _ contentType: StaticString?, _ body: (ByteBuffer) -> Void) {
        let closes = connection.closesAfterReply
        connection.server.withScratch { scratch in
            body(scratch)
            if scratch.count > Exchange.largeBytes, !mayBeSent(scratch.count) { return refuseToSend(output, closes) }
            if let contentType { Exchange.appendType(contentType, to: output) }
            end(output, scratch, closes: closes)
        }
        connection.server.onReply?(self)
        clear()
        connection.replyFinished(closes: closes)
    }

    /// Ends the head and appends the body.
    private func end(_ output: ByteBuffer, _ body: ByteBuffer, closes: Bool) {
        if !Status.isBodyless(status) {
            output.append("Content-Length: ")
            output.append(decimal: body.count)
            output.append("\r\n")
        }
        appendConnectionField(closes: closes, to: output)
        output.append("\r\n")
        if head.method != .head, !Status.isBodyless(status) { output.append(body.view) }
    }

    /// An answer of this size waits in memory for a client that may not take it.
    private static let largeBytes = 65536

    /// Whether the server has room for a large answer until its client takes it. What changed something is always told.
    private func mayBeSent(_ count: Int) -> Bool {
        let unsent = connection.server.unsentBytes
        return head.method != .get || unsent == 0 || unsent + count <= connection.server.limits.unsentBytes
    }

    /// Says instead of the answer that there is no room for it.
    private func refuseToSend(_ output: ByteBuffer, _ closes: Bool) {
        begin(503, output)
        output.append("Retry-After: 1\r\n")
        Exchange.appendType(ProblemBody.contentType, to: output)
        let body = ByteBuffer(capacity: 256)
        var json = JSONWriter(body)
        ProblemBody.begin(
            &json, status: 503,
            detail: ByteView("The server waits for clients to take answers as large as this one; try again."))
        json.endObject()
        end(output, body, closes: closes)
    }

    /// A whole answer with a JSON body.
    public func reply(_ status: Int, json write: (inout JSONWriter) -> Void) {
        beginReply(status)
        finishReply(contentType: "application/json") { buffer in
            var json = JSONWriter(buffer)
            write(&json)
        }
    }

    /// Begins an answer of unknown length. Without `beginReply` before it, its status is 200.
    ///
    /// It is sent in chunks, or to an HTTP/1.0 client as it is until the connection ends.
    public func beginStream(contentType: StaticString) -> ResponseStream {
        if reply == .none { beginReply(200) }
        let stream = ResponseStream(exchange: self)
        guard let output = begunBuffer() else { return stream }
        Exchange.appendType(contentType, to: output)
        stream.isChunked = head.minorVersion > 0
        stream.hasBody = head.method != .head && !Status.isBodyless(status)
        if stream.isChunked {
            output.append("Transfer-Encoding: chunked\r\n")
        }
        stream.closes = connection.closesAfterReply || !stream.isChunked
        appendConnectionField(closes: stream.closes, to: output)
        output.append("\r\n")
        reply = .streaming
        self.stream = stream
        if isGone { stream.connectionClosed() } else { connection.replyProgressed() }
        return stream
    }

    // MARK: Inside

    /// The output, when an answer may be begun.
    private func replyBuffer() -> ByteBuffer? {
        assert(reply == .none || reply == .begun, "a second answer to one request")
        guard reply == .none || reply == .begun else { return nil }
        return connection.output
    }

    private func begunBuffer() -> ByteBuffer? {
        guard reply == .begun else { return nil }
        return connection.output
    }

    private func appendConnectionField(closes: Bool, to output: ByteBuffer) {
        if closes {
            output.append("Connection: close\r\n")
        } else if head.minorVersion == 0 {
            output.append("Connection: keep-alive\r\n")
        }
    }

    /// What a page may do is said with every page, so that none can be forgotten: nothing from elsewhere, in no frame.
    private static func appendType(_ contentType: StaticString, to buffer: ByteBuffer) {
        append("Content-Type", contentType, to: buffer)
        guard ByteView(contentType).hasPrefix("text/html") else { return }
        append(
            "Content-Security-Policy",
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            to: buffer)
        append("X-Frame-Options", "DENY", to: buffer)
        append("Referrer-Policy", "no-referrer", to: buffer)
    }

    private static func append(_ name: StaticString, _ value: StaticString, to buffer: ByteBuffer) {
        buffer.append(name)
        buffer.append(": ")
        buffer.append(value)
        buffer.append("\r\n")
    }

    private static func append(_ name: StaticString, to buffer: ByteBuffer, _ write: (ByteBuffer) -> Void) {
        buffer.append(name)
        buffer.append(": ")
        let start = buffer.count
        write(buffer)
        let length = buffer.count - start
        let end = buffer.reserve(2)
        for at in UnsafeMutableBufferPointer(start: end - length, count: length).indices
        where !Characters.isValue((end - length)[at]) {
            (end - length)[at] = 0x20
        }
        buffer.append("\r\n")
    }
}

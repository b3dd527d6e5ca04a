import Bytes
import EventLoops

/// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as the answer to a request.
///
/// A comment goes out when nothing else has for a while, so that whoever stands between knows the connection is alive.
/// A subscriber that does not read is cut off when too much waits for it: it reconnects and learns from the snapshot
/// what it missed, which costs less than keeping it all.
public final class EventStream {
    private let stream: ResponseStream
    private let maxBufferedBytes: Int
    private var timer: LoopTimer?
    private var wasQuiet = true

    /// Called once, on the loop, when the subscriber has left or was cut off. Not after `close`.
    public var onClose: (() -> Void)?

    /// Begins the answer.
    /// - Parameters:
    ///   - quietUs: after how long a comment is sent, at the latest twice that.
    ///   - maxBufferedBytes: how much may wait for a subscriber that does not read.
    public init(_ exchange: Exchange, quietUs: Int64 = 15_000_000, maxBufferedBytes: Int = 262_144) {
        self.maxBufferedBytes = maxBufferedBytes
        exchange.beginReply(200)
        exchange.addHeader("Cache-Control", "no-store")
        // nginx would otherwise collect events until a buffer is full.
        exchange.addHeader("X-Accel-Buffering", "no")
        stream = exchange.beginStream(contentType: "text/event-stream")
        guard stream.isOpen else { return }
        stream.onClose = { [self] in closed() }
        stream.onDrain = { [self] in close() }
        let timer = LoopTimer(loop: exchange.loop) { [unowned self] in tick() }
        timer.start(everyUs: quietUs)
        self.timer = timer
    }

    public var isOpen: Bool { stream.isOpen }

    /// Sends one event.
    /// - Parameters:
    ///   - id: what a subscriber names as the last it has seen when it reconnects; without line breaks.
    ///   - name: nil for the default, `message`.
    ///   - data: may have several lines.
    public func event(id: ByteView? = nil, name: StaticString? = nil, data: ByteView) {
        send { buffer in
            if let id {
                buffer.append("id: ")
                buffer.append(id)
                buffer.append(0x0A)
            }
            if let name {
                buffer.append("event: ")
                buffer.append(name)
                buffer.append(0x0A)
            }
            var rest = data
            while true {
                let end = rest.firstIndex(of: 0x0A) ?? rest.count
                buffer.append("data: ")
                buffer.append(rest.slice(0, end))
                buffer.append(0x0A)
                if end == rest.count { break }
                rest = rest.dropFirst(end + 1)
            }
            buffer.append(0x0A)
        }
    }

    /// Ends the stream.
    public func close() {
        timer = nil
        onClose = nil
        stream.onClose = nil
        stream.onDrain = nil
        stream.end()
    }

    private func send(_ write: (ByteBuffer) -> Void) {
        guard stream.isOpen else { return }
        wasQuiet = false
        stream.write(write)
        if stream.bufferedBytes > maxBufferedBytes, !stream.flush() || stream.bufferedBytes > maxBufferedBytes {
            stream.abort()
        }
    }

    private func tick() {
        if wasQuiet { send { $0.append(": still here\n\n") } }
        wasQuiet = true
    }

    private func closed() {
        timer = nil
        stream.onDrain = nil
        let onClose = onClose
        self.onClose = nil
        onClose?()
    }
}

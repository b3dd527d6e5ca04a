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
    public convenience init(_ exchange: Exchange, quietUs: Int64 = 15_000_000, maxBufferedBytes: Int = 262_144) {
        exchange.beginReply(200)
        exchange.addHeader("Cache-Control", "no-store")
        // nginx would otherwise collect events until a buffer is full.
        exchange.addHeader("X-Accel-Buffering", "no")
        self.init(
            exchange.beginStream(contentType: "text/event-stream"), quietUs: quietUs, maxBufferedBytes: maxBufferedBytes
        )
    }

    /// Sends events through a stream that has begun.
    public init(_ stream: ResponseStream, quietUs: Int64 = 15_000_000, maxBufferedBytes: Int = 262_144) {
        self.stream = stream
        self.maxBufferedBytes = maxBufferedBytes
        guard stream.isOpen else { return }
        stream.onClose = { [self] in closed() }
        stream.onDrain = { [self] in close() }
        let timer = LoopTimer(loop: stream.loop) { [unowned self] in tick() }
        timer.start(everyUs: quietUs)
        self.timer = timer
    }

    public var isOpen: Bool { stream.isOpen }

    /// Sends one event. Line breaks in `id` and `name` end them.
    /// - Parameters:
    ///   - id: what a subscriber names as the last it has seen when it reconnects.
    ///   - name: nil for the default, `message`.
    ///   - data: may have several lines.
    public func event(id: String? = nil, name: String? = nil, data: String) {
        send { buffer in
            if let id { EventStream.append("id: ", id, isOneLine: true, to: buffer) }
            if let name { EventStream.append("event: ", name, isOneLine: true, to: buffer) }
            EventStream.append("data: ", data, isOneLine: false, to: buffer)
            buffer.append(0x0A)
        }
    }

    /// Appends each line of `text` behind `field`. A line ends in LF, CR, or both.
    private static func append(_ field: StaticString, _ text: String, isOneLine: Bool, to buffer: ByteBuffer) {
        text.withByteView { bytes in
            var rest = bytes
            while true {
                let lineFeed = rest.firstIndex(of: 0x0A) ?? rest.count
                let end = rest.slice(0, lineFeed).firstIndex(of: 0x0D) ?? lineFeed
                buffer.append(field)
                buffer.append(rest.slice(0, end))
                buffer.append(0x0A)
                if end == rest.count || isOneLine { return }
                rest = rest.dropFirst(end + (end + 1 == lineFeed ? 2 : 1))
            }
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

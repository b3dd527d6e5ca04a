import Bytes
import EventLoops

/// The body of an answer, sent as it comes to be.
///
/// Writes never fail and never block: what the client does not take waits in memory, and `bufferedBytes` says how much
/// that is. A writer that minds asks `isWritable` or awaits `writable()`.
public final class ResponseStream {
    /// Above this many waiting bytes the stream is not writable; it is again below half of it.
    static let highWaterBytes = 65536

    private let exchange: Exchange
    private let connection: HTTPConnection
    var isChunked = true
    var hasBody = true
    var closes = false
    private var waiters: [UnsafeContinuation<Void, Never>] = []

    /// False once the stream has ended or the client has left.
    public private(set) var isOpen = true
    /// Called once, on the loop, when the client leaves or the connection is cut before `end`.
    public var onClose: (() -> Void)?
    /// Called when a server that is draining wants the stream to end. Nil lets it go on until the server's grace ends.
    public var onDrain: (() -> Void)?

    init(exchange: Exchange) {
        self.exchange = exchange
        connection = exchange.connection
    }

    public var loop: EventLoop { connection.server.loop }

    /// Bytes that are written and have not been taken by the operating system.
    public var bufferedBytes: Int { isOpen ? connection.committed : 0 }

    public var isWritable: Bool { isOpen && bufferedBytes < ResponseStream.highWaterBytes }

    /// Waits until the stream is writable or closed; `isOpen` tells which.
    public func writable() async {
        while isOpen, !isWritable {
            await withUnsafeContinuation { waiters.append($0) }
        }
    }

    public func write(_ bytes: ByteView) {
        guard isOpen, hasBody, !bytes.isEmpty else { return }
        let output = connection.output
        if isChunked {
            ResponseStream.appendHex(bytes.count, to: output)
            output.append("\r\n")
            output.append(bytes)
            output.append("\r\n")
        } else {
            output.append(bytes)
        }
        connection.replyProgressed()
    }

    /// Writes what `body` appends, as one chunk.
    public func write(_ body: (ByteBuffer) -> Void) {
        guard isOpen else { return }
        connection.server.withScratch { scratch in
            body(scratch)
            write(scratch.view)
        }
    }

    /// Offers what waits to the operating system now rather than at the end of the tick. False when the client has left.
    func flush() -> Bool {
        if !connection.isStalled { connection.write() }
        return isOpen
    }

    /// Ends the answer; the connection goes on to the next request.
    public func end() {
        guard isOpen else { return }
        if isChunked, hasBody { connection.output.append("0\r\n\r\n") }
        finish()
        exchange.clear()
        connection.replyFinished(closes: closes)
    }

    /// Cuts the connection, so that the client can tell that the answer is not whole.
    public func abort() {
        guard isOpen else { return }
        connection.cut()
    }

    // MARK: For the connection

    /// The client has left or the connection was cut.
    func connectionClosed() {
        guard isOpen else { return }
        let onClose = onClose
        finish()
        exchange.clear()
        connection.replyFinished(closes: true)
        onClose?()
    }

    func outputDrained() {
        guard !waiters.isEmpty, bufferedBytes < ResponseStream.highWaterBytes / 2 else { return }
        resumeWaiters()
    }

    private func finish() {
        isOpen = false
        onClose = nil
        onDrain = nil
        exchange.stream = nil
        resumeWaiters()
    }

    private func resumeWaiters() {
        let resumed = waiters
        waiters = []
        for waiter in resumed { waiter.resume() }
    }

    private static func appendHex(_ value: Int, to buffer: ByteBuffer) {
        let digits: StaticString = "0123456789abcdef"
        var shift = (max(1, (64 - value.leadingZeroBitCount + 3) / 4) - 1) * 4
        while shift >= 0 {
            buffer.append(digits.utf8Start[value >> shift & 15])
            shift -= 4
        }
    }
}

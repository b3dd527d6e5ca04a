import Bytes
import EventLoops
import Glibc

/// One client's connection: reads requests, hands them to the responder one after another, and writes the answers.
///
/// Reading and parsing are in `HTTPConnection+Reading`, writing in `+Writing`, deadlines and the several ways to end in
/// `+Ending`.
final class HTTPConnection: EndOfTick, DeadlineHolder {
    enum Phase: UInt8 {
        /// Between requests, nothing of the next one is here.
        case idle
        /// A request has begun to arrive.
        case receiving
        /// A request is with its handler; the next one waits.
        case handling
        /// The last answer is being written.
        case finishing
        /// All is written; what the client still sends is thrown away until it leaves.
        case lingering
        case closed
    }

    let server: HTTPServer
    let descriptor: Int32
    let peer: Peer
    /// The place in the server's list.
    var index = 0
    private(set) var watcher: Watcher!
    let deadline: Deadline

    var phase = Phase.idle
    /// Made with the first request and used again for the others.
    var exchange: Exchange?
    /// Held while there is anything in them.
    var buffers: Buffers?
    var parser: RequestParser

    /// Bytes of a further request wait that the parser has not seen.
    var hasUnparsedInput = false
    /// Up to where the parser has read the input, which begins with the current request's head.
    var parsed = 0
    var headEnd = 0
    /// The end of the body's bytes so far; they lie behind the head without gaps.
    var bodyEnd = 0
    /// How much of the server's share for bodies the current request has.
    var countedBytes = 0
    /// When the current head or body began to arrive, on the loop's clock.
    var beganUs: Int64 = 0

    /// Bytes at the front of the output that are final. What follows them is the answer being made.
    var committed = 0
    var isQueued = false
    /// The operating system took less than was offered; the rest waits for writability.
    var isStalled = false
    var beganStallUs: Int64 = 0
    /// When bytes were last thrown away.
    var lastDiscardUs: Int64 = 0
    /// The client will send nothing more.
    var inputEnded = false
    var sentContinue = false

    init(server: HTTPServer, descriptor: Int32, peer: Peer) {
        self.server = server
        self.descriptor = descriptor
        self.peer = peer
        parser = RequestParser(headBytes: server.limits.headBytes)
        deadline = Deadline(wheel: server.wheel)
        // The watcher keeps its connection alive, until `close` lets go of it.
        watcher = Watcher(loop: server.loop, descriptor: descriptor) { readiness in self.isReady(readiness) }
        deadline.holder = self
    }

    func start() {
        watcher.start()
        updateDeadline()
    }

    private func isReady(_ readiness: Readiness) {
        if readiness.contains(.write) {
            write()
            queue()
        }
        if readiness.contains(.read), phase != .closed { read() }
    }

    // MARK: For the exchange

    var isClosed: Bool { phase == .closed }

    /// Where answers are written. A request under way has buffers, even when its client has left.
    var output: ByteBuffer {
        if let buffers { return buffers.output }
        let fresh = server.pool.take()
        buffers = fresh
        return fresh.output
    }

    /// Whether the answer being made is the connection's last.
    var closesAfterReply: Bool {
        guard let exchange else { return true }
        return !exchange.head.keepsAlive || server.isDraining
    }

    /// More of a streamed answer is ready to be sent.
    func replyProgressed() {
        committed = output.count
        queue()
    }

    /// The answer is complete. The request is done with, and its bytes make room for the next.
    func replyFinished(closes: Bool) {
        uncountBody()
        if phase == .closed { return releaseBuffers() }
        committed = output.count
        if let buffers {
            buffers.input.consume(parsed)
            hasUnparsedInput = !buffers.input.isEmpty
        }
        parsed = 0
        if phase == .handling { phase = closes ? .finishing : .idle }
        queue()
    }

    // MARK: The tick

    @inline(__always)
    func queue() {
        guard !isQueued, phase != .closed else { return }
        isQueued = true
        server.loop.atEndOfTick(.responses, self)
    }

    /// Answers what has become possible to answer, and writes all answers at once.
    func endOfTick() {
        repeat {
            if hasUnparsedInput { process() }
            if committed > 0, !isStalled { write() }
            // Parsing stops while much is unwritten; with all written there may be more to answer.
        } while phase == .idle && committed == 0 && hasUnparsedInput
        isQueued = false
        settle()
    }

    /// Decides what the connection waits for next.
    private func settle() {
        switch phase {
        case .idle, .receiving:
            if committed > 0 { break }
            if inputEnded { return close() }
            if phase == .idle {
                if server.isDraining, server.requestedDrain { return close() }
                releaseBuffers()
            }
            watcher.wantsReads = true
        case .finishing:
            if committed == 0 { return endAfterReply() }
        case .handling, .lingering, .closed: break
        }
        updateDeadline()
    }

    func releaseBuffers() {
        guard let held = buffers else { return }
        buffers = nil
        server.pool.give(held)
    }

    /// Lets go of what keeps this object alive.
    func stopWatching() {
        watcher.stop()
        watcher = nil
        deadline.move(toUs: .max)
    }
}

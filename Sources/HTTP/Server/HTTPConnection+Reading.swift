import Bytes
import EventLoops
import Glibc

extension HTTPConnection {
    /// Answers that wait to be written hold up further requests of a client that does not read.
    private static let outputHighWaterBytes = 65536
    /// Room for one read when a body needs more than the buffer was made for.
    private static let readBytes = 8192

    func read() {
        if phase == .lingering || phase == .finishing { return discard() }
        let input: ByteBuffer
        if let buffers {
            input = buffers.input
        } else {
            let fresh = server.pool.take()
            buffers = fresh
            input = fresh.input
        }
        // A request that is being handled is looked into, so its bytes stay where they are.
        let mayMove = phase != .handling && !isStalled
        // A large body has been given its room already.
        let isShort = countedBytes == 0 && input.room < HTTPConnection.readBytes / 4
        if input.room == 0 || (mayMove && isShort) {
            guard mayMove else {
                watcher.wantsReads = false
                return
            }
            _ = input.reserve(HTTPConnection.readBytes)
        }
        let room = input.room
        let count = recv(descriptor, input.reserve(room), room, 0)
        if count > 0 {
            input.didAppend(count)
            process()
            queue()
        } else if count == 0 {
            clientFinished()
        } else if errno != EAGAIN, errno != EINTR {
            close()
        }
    }

    /// The client has closed its side: it has most likely left, but may wait for its answers.
    private func clientFinished() {
        inputEnded = true
        watcher.wantsReads = false
        if phase == .handling, let exchange { exchange.clientLeft() }
        queue()
    }

    /// Parses what has arrived and hands over requests, until one is being handled or more must arrive.
    func process() {
        guard let buffers, phase == .idle || phase == .receiving else { return }
        let input = buffers.input
        hasUnparsedInput = false
        while phase == .idle || phase == .receiving {
            if input.count == parsed, parser.isBetweenRequests { return }
            if phase == .idle, committed > HTTPConnection.outputHighWaterBytes {
                hasUnparsedInput = true
                return
            }
            let event = parser.next(input.view.dropFirst(parsed), buffers.fields)
            let at = parsed
            parsed += parser.consumed
            switch event {
            case .head:
                headEnd = parsed
                bodyEnd = parsed
                if parser.head.hasBody, !beginBody(buffers) { return }
            case .data(let start, let count):
                if bodyEnd + count > countedTo, !countBody(to: bodyEnd + count) { return refuse(.tooManyBodies) }
                if parser.head.isChunked { input.copy(from: at + start, to: bodyEnd, count: count) }
                bodyEnd += count
            case .end:
                respond(input.view.base)
            case .needMore:
                return waitForMore(input)
            case .refused(let refusal):
                return refuse(refusal)
            }
        }
    }

    /// Prepares for a body. False when the request is refused already.
    private func beginBody(_ buffers: Buffers) -> Bool {
        let exchange = currentExchange
        exchange.begin(parser.head, base: buffers.input.view.base, bodyStart: headEnd, bodyEnd: headEnd)
        let limit = server.responder.bodyLimit(exchange) ?? server.limits.bodyBytes
        parser.bodyLimit = limit
        phase = .receiving
        beganUs = server.loop.nowUs
        sentContinue = false
        let length = parser.head.contentLength
        // What is here already costs no more; it is judged when it is handled.
        if length >= 0, buffers.input.count - headEnd >= length { return true }
        guard isAdmitted(exchange) else { return false }
        // One that is too large is refused by the parser.
        guard length <= limit, length > countedTo - headEnd else { return true }
        guard countBody(to: headEnd + length) else {
            refuse(.tooManyBodies)
            return false
        }
        buffers.input.reserveExactly(headEnd + length - buffers.input.count)
        return true
    }

    /// Whether the responder lets a request go on whose body is still to come. When not, it has answered.
    private func isAdmitted(_ exchange: Exchange) -> Bool {
        let keepsAlive = exchange.head.keepsAlive
        phase = .handling
        exchange.reply = .none
        exchange.serial &+= 1
        exchange.isGone = inputEnded
        exchange.endConnection()
        guard server.responder.admits(exchange) else { return false }
        exchange.reply = .finished
        exchange.head.keepsAlive = keepsAlive
        phase = .receiving
        return true
    }

    /// Counts a body that reaches up to `end` of the input; false when the server has too much of that already.
    private func countBody(to end: Int) -> Bool {
        // In steps, so that a body of unknown length is not counted with every piece.
        let end = max(end, countedTo + Buffers.keptBytes)
        let counted = end - HTTPConnection.uncountedBytes
        guard server.count(bodyBytes: counted - countedBytes) else { return false }
        countedBytes = counted
        return true
    }

    /// The request is done with.
    func uncountBody() {
        if countedBytes > 0 { server.uncount(bodyBytes: countedBytes) }
        countedBytes = 0
    }

    /// Of each request's input; the buffers in the pool are as large.
    private static let uncountedBytes = Buffers.keptBytes
    /// Up to where the input is counted.
    private var countedTo: Int { HTTPConnection.uncountedBytes + countedBytes }

    private var currentExchange: Exchange {
        if let exchange { return exchange }
        let fresh = Exchange(connection: self)
        exchange = fresh
        return fresh
    }

    private func respond(_ base: UnsafePointer<UInt8>) {
        let exchange = currentExchange
        phase = .handling
        server.requests &+= 1
        exchange.begin(parser.head, base: base, bodyStart: headEnd, bodyEnd: bodyEnd)
        exchange.reply = .none
        exchange.serial &+= 1
        exchange.isGone = inputEnded
        server.responder.respond(to: exchange)
    }

    private func waitForMore(_ input: ByteBuffer) {
        if parser.isInBody {
            // The framing between the chunks has left a gap; the body stays in one piece.
            input.remove(bodyEnd..<parsed)
            parsed = bodyEnd
            if parser.head.expectsContinue, !sentContinue, bodyEnd == headEnd, input.count == parsed {
                sentContinue = true
                output.append("HTTP/1.1 100 Continue\r\n\r\n")
                committed = output.count
            }
        } else if phase == .idle {
            phase = .receiving
            beganUs = server.loop.nowUs
        }
    }

    /// Answers what the parser or a deadline refuses, and ends the connection.
    func refuse(_ refusal: Refusal) {
        server.refusals &+= 1
        uncountBody()
        RefusalAnswer.append(refusal, to: output, server)
        committed = output.count
        phase = .finishing
        queue()
    }
}

import Bytes
import EventLoops
import Glibc

/// Deadlines, and the ways in which a connection ends.
extension HTTPConnection {
    func updateDeadline() {
        let limits = server.limits
        let nowUs = server.loop.nowUs
        var us: Int64
        switch phase {
        case .idle: us = nowUs + limits.idleUs
        case .receiving: us = parser.isInBody ? bodyDeadlineUs(nowUs, limits) : beganUs + limits.headUs
        case .lingering: us = min(lastDiscardUs + limits.lingerUs, beganUs + limits.bodyUs)
        case .handling, .finishing, .closed: us = .max
        }
        if isStalled { us = min(us, beganStallUs + limits.bodyUs) }
        deadline.move(toUs: us)
    }

    /// A body has `bodyUs` for its next byte, and as a whole that plus the time its bytes take at the least rate.
    private func bodyDeadlineUs(_ nowUs: Int64, _ limits: HTTPLimits) -> Int64 {
        let earnedUs = Int64(bodyEnd - headEnd) * 1_000_000 / Int64(max(limits.bodyBytesPerSecond, 1))
        return min(nowUs, beganUs + earnedUs) + limits.bodyUs
    }

    func deadlinePassed() {
        if isStalled { return cut() }
        switch phase {
        case .receiving: refuse(parser.isInBody ? .bodyTimeout : .headTimeout)
        case .idle, .lingering: close()
        case .handling, .finishing, .closed: break
        }
    }

    /// The last answer is written. A client that may still be sending must be heard out: closing with unread bytes
    /// resets the connection, and a reset destroys what the client has not read yet, the answer included.
    func endAfterReply() {
        if inputEnded { return close() }
        releaseBuffers()
        shutdown(descriptor, Int32(SHUT_WR))
        phase = .lingering
        beganUs = server.loop.nowUs
        lastDiscardUs = beganUs
        watcher.wantsReads = true
        updateDeadline()
    }

    /// Throws away what arrives after the last request.
    func discard() {
        let count = server.withScratch { recv(descriptor, $0.reserve(65536), 65536, 0) }
        if count > 0, phase == .lingering {
            lastDiscardUs = server.loop.nowUs
            updateDeadline()
        }
        if count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)) { return }
        if count == 0, phase == .finishing {
            inputEnded = true
            watcher.wantsReads = false
            return
        }
        close()
    }

    /// Ends the connection at once; the client finds it reset rather than well ended.
    func cut() {
        var abortive = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abortive, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func close() {
        guard phase != .closed else { return }
        let wasHandling = phase == .handling
        phase = .closed
        committed = 0
        stopWatching()
        Glibc.close(descriptor)
        server.removed(self)
        if wasHandling, let exchange {
            // The handler still looks at the request: its bytes stay until it has answered.
            exchange.clientLeft()
        } else {
            uncountBody()
            releaseBuffers()
        }
        exchange = nil
    }

    /// The server drains: between requests the connection ends, otherwise after the answer. Bytes that have arrived
    /// since the last look are still answered.
    func drain() {
        switch phase {
        case .idle:
            read()
            queue()
        case .handling: exchange?.stream?.onDrain?()
        case .receiving, .finishing, .lingering, .closed: break
        }
    }
}

import Bytes
import CHiredis
import EventLoops
import Glibc

/// One connection to Redis through hiredis's asynchronous interface, attached to our loop so that the commands of a tick
/// leave in one write. It connects once; when it is closed, a new one is made.
final class RedisLink: EndOfTick, @unchecked Sendable {
    // Unchecked because hiredis's callbacks find the link by pointer; all of them run on its loop.
    // Unchecked exclusivity, here and on the other fields that every call touches: no access to them calls out, and the
    // checks would cost a tenth of a call.
    @exclusivity(unchecked) private(set) var pending = PendingCalls()
    let writer = RESPWriter()
    /// Where hiredis builds replies (`CHiredis/replies.h`); it lives as long as we do, and so longer than the context.
    private let replies = qm_replies_new()
    private let loop: EventLoop
    private let maxPending: Int
    private let stallUs: Int64
    private(set) var context: UnsafeMutablePointer<redisAsyncContext>?
    private var watcher: Watcher?
    private var timer: LoopTimer?
    @exclusivity(unchecked) private var timerAtUs = Int64.max
    @exclusivity(unchecked) private var lastByteUs: Int64 = 0
    private var isConnected = false
    private var isFlushing = false
    private var isDirty = false
    private var wasClosed = false
    /// Suspended until Redis has confirmed every channel of a subscription.
    var confirmations: Confirmations?

    var onConnected: (() -> Void)?
    /// Called once, when the connection is gone or could not be made; waiting calls have been failed by then.
    var onClosed: (() -> Void)?
    /// Hears replies when no call waits: messages of a subscription.
    var onMessage: ((ReplyView) -> Void)?
    var onNoScript: (() -> Void)?
    /// Hears error replies first; true: the call was taken over and will be completed elsewhere.
    var onRefusal: ((PendingCalls.Entry, ByteView) -> Bool)?
    var traffic: RedisTraffic?
    /// Where it leads, as numbers.
    private(set) var host = ""

    init(loop: EventLoop, configuration: RedisConfiguration) {
        self.loop = loop
        maxPending = configuration.maxPending
        stallUs = configuration.stallUs
    }

    deinit { qm_replies_free(replies) }

    // MARK: Life

    /// Begins to connect to a numeric address or a socket.
    /// - Parameters:
    ///   - tls: encrypts the connection.
    ///   - name: what the other side must then prove to be.
    func open(_ address: Sockets.Address, tls: RedisTLS? = nil, name: String = "") {
        if case .tcp(let name, _) = address { host = name }
        let made: UnsafeMutablePointer<redisAsyncContext>? =
            switch address {
            case .unix(let path): redisAsyncConnectUnix(path)
            case .tcp(let host, let port): redisAsyncConnect(host, Int32(port))
            }
        guard let made, made.pointee.err == 0 else {
            if let made { redisAsyncFree(made) }
            return didClose()
        }
        if let tls, !tls.begin(made, name: name) {
            redisAsyncFree(made)
            return didClose()
        }
        context = made
        _ = fcntl(made.pointee.c.fd, F_SETFD, FD_CLOEXEC)
        if let replies { qm_use_replies(&made.pointee.c, replies) }
        // hiredis holds us until it has cleaned up; see `cleanUp`.
        let me = Unmanaged.passRetained(self).toOpaque()
        made.pointee.data = me
        made.pointee.ev.data = me
        made.pointee.ev.addWrite = linkWantsToWrite
        made.pointee.ev.delWrite = linkHasWritten
        made.pointee.ev.cleanup = linkIsCleanedUp
        redisAsyncSetConnectCallback(made, linkConnected)
        redisAsyncSetDisconnectCallback(made, linkDisconnected)
        let watcher = Watcher(loop: loop, descriptor: made.pointee.c.fd) { [unowned self] readiness in
            isReady(readiness)
        }
        self.watcher = watcher
        watcher.start()
        watcher.wantsWrites = true
    }

    /// Cuts the connection; waiting calls fail as lost.
    func close() {
        if let context {
            // hiredis answers every waiting callback with nil before this returns.
            redisAsyncFree(context)
        }
        didClose()
    }

    func didConnect(_ status: Int32) {
        guard status == REDIS_OK else {
            // hiredis frees the context after this callback.
            context = nil
            return didClose()
        }
        if let context, Sockets.isConnectedToItself(context.pointee.c.fd) {
            // Freed inside hiredis's own callback it would be used after; a tick later it is ours to cut.
            let cut = loop.after(us: 0) { [weak self] in self?.close() }
            timer = cut
            return
        }
        isConnected = true
        lastByteUs = loop.nowUs
        onConnected?()
    }

    func didClose() {
        context = nil
        guard !wasClosed else { return }
        wasClosed = true
        isConnected = false
        timer?.cancel()
        watcher?.stop()
        watcher = nil
        while let entry = pending.removeFirst() { entry.call?.completed(.failure(.lost)) }
        let unconfirmed = confirmations
        confirmations = nil
        unconfirmed?.finished(false)
        let closed = onClosed
        (onConnected, onClosed, onMessage, onNoScript, onRefusal) = (nil, nil, nil, nil, nil)
        closed?()
    }

    /// hiredis lets go of us. It still calls the disconnect callback after this, so we stay until the end of the tick.
    func cleanUp() {
        watcher?.stop()
        watcher = nil
        loop.atEndOfTick(.commands, self)
        Unmanaged.passUnretained(self).release()
    }

    // MARK: Sending

    /// Sends `call` with the tick's others; it completes at once when the connection cannot take it.
    func send(
        _ call: any RedisCall, deadlineUs: Int64, asText: Bool = false, redirections: UInt8 = 0,
        hasPaused: Bool = false, isAsking: Bool = false
    ) {
        guard let context else { return call.completed(.failure(.unavailable)) }
        guard pending.count < maxPending else { return call.completed(.failure(.overloaded)) }
        writer.buffer.removeAll()
        writer.sendsScriptText = asText
        call.encode(to: writer)
        if pending.isEmpty { lastByteUs = loop.nowUs }
        pending.append(
            PendingCalls.Entry(
                call: call, deadlineUs: deadlineUs, lostUs: loop.lostUs, sentText: asText, redirections: redirections,
                hasPaused: hasPaused,
                isAsking: isAsking))
        let command = writer.finish()
        let result = redisAsyncFormattedCommand(
            context, linkReplied, Unmanaged.passUnretained(self).toOpaque(),
            UnsafeRawPointer(command.base).assumingMemoryBound(to: CChar.self), command.count)
        guard result == REDIS_OK else {
            _ = pending.removeLast()
            return call.completed(.failure(.unavailable))
        }
        watchDeadline(deadlineUs)
    }

    /// Sends `call` as one that was sent here by the node that has the slot until all of its keys are here.
    func ask(_ call: any RedisCall, deadlineUs: Int64, asText: Bool = false, redirections: UInt8) {
        send(CommandCall(["ASKING"]) { _ in }, deadlineUs: deadlineUs)
        send(call, deadlineUs: deadlineUs, asText: asText, redirections: redirections, isAsking: true)
    }

    func wantsToWrite() {
        if !isConnected || isFlushing {
            watcher?.wantsWrites = true
        } else if !isDirty {
            isDirty = true
            loop.atEndOfTick(.commands, self)
        }
    }

    func hasWritten() { watcher?.wantsWrites = false }

    func endOfTick() {
        isDirty = false
        flush()
    }

    func flush() {
        guard let context, isConnected else { return }
        traffic?.wrote(pending: pending.count)
        isFlushing = true
        redisAsyncHandleWrite(context)
        isFlushing = false
    }

    private func isReady(_ readiness: Readiness) {
        if readiness.contains(.read), let context {
            lastByteUs = loop.nowUs
            redisAsyncHandleRead(context)
        }
        // Reading may have freed the context.
        if readiness.contains(.write), let context { redisAsyncHandleWrite(context) }
    }

    // MARK: Replies

    /// How Redis says that it has forgotten a script. A script's own errors may begin with the same word.
    private static let unknownScript: StaticString = "NOSCRIPT No matching script"

    func replied(_ reply: UnsafePointer<redisReply>?) {
        guard let reply else {
            pending.removeFirst()?.call?.completed(.failure(.lost))
            return
        }
        let view = ReplyView(reply)
        guard let entry = pending.removeFirst() else {
            if view.count == 3, view[0].bytes == "subscribe" { confirmed() } else { onMessage?(view) }
            return
        }
        guard let call = entry.call else { return }
        guard view.isError else { return call.completed(.success(view)) }
        if !entry.sentText, view.bytes.hasPrefix(RedisLink.unknownScript) {
            onNoScript?()
            if entry.isAsking {
                return ask(call, deadlineUs: entry.deadlineUs, asText: true, redirections: entry.redirections)
            }
            return send(call, deadlineUs: entry.deadlineUs, asText: true, redirections: entry.redirections)
        }
        if let onRefusal, onRefusal(entry, view.bytes) { return }
        call.completed(.failure(RedisError(reply: view.bytes)))
    }

    // MARK: Deadlines

    /// One timer for all calls: it is set for the earliest deadline known and looks at all of them when it fires.
    private func watchDeadline(_ deadlineUs: Int64) {
        let wanted = min(deadlineUs, loop.nowUs + stallUs)
        guard wanted < timerAtUs else { return }
        timerAtUs = wanted
        if timer == nil { timer = LoopTimer(loop: loop) { [unowned self] in deadlinePassed() } }
        timer!.start(afterUs: wanted - loop.nowUs)
    }

    private func deadlinePassed() {
        timerAtUs = .max
        let nowUs = MonotonicClock.nowUs()
        // A call gets all of its time from Redis: what this loop was busy with meanwhile is not counted.
        let (expired, nextDeadlineUs) = pending.expire(nowUs: nowUs, lostUs: loop.lostUs)
        for call in expired { call.completed(.failure(.timeout)) }
        guard !wasClosed, !pending.isEmpty else { return }
        // A peer that is gone without a word would keep us waiting for ever.
        if nowUs - lastByteUs >= stallUs { return close() }
        watchDeadline(min(nextDeadlineUs ?? .max, lastByteUs + stallUs))
    }
}

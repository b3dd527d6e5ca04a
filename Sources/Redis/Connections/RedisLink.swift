import Bytes
import CHiredis
import EventLoops
import Glibc

/// One connection to Redis, whose commands of a tick leave in one write. It connects once; when it is closed, a new one is
/// made.
///
/// hiredis connects, reads, parses and writes; it calls nobody. So whoever hears a reply may send, flush and close as they
/// like: what is written waits until all replies that have arrived are heard.
final class RedisLink: EndOfTick {
    // Unchecked exclusivity, here and on the other fields that every call touches: no access to them calls out, and the
    // checks would cost a tenth of a call.
    @exclusivity(unchecked) private(set) var pending = PendingCalls()
    let writer = RESPWriter()
    /// Where hiredis builds replies (`CHiredis/replies.h`).
    private let replies = qm_replies_new()
    private let loop: EventLoop
    private let maxPending: Int
    private let stallUs: Int64
    @exclusivity(unchecked) private var context: UnsafeMutablePointer<redisContext>?
    private var encryption: RedisTLS.Connection?
    private var watcher: Watcher?
    private var timer: LoopTimer?
    @exclusivity(unchecked) private var timerAtUs = Int64.max
    @exclusivity(unchecked) private var lastByteUs: Int64 = 0
    private var isConnected = false
    private var wasClosed = false
    /// Commands wait to be written.
    @exclusivity(unchecked) private var hasUnwritten = false
    @exclusivity(unchecked) private var isQueued = false
    /// Replies are being handed out; and somebody wanted to write meanwhile.
    @exclusivity(unchecked) private var isHearing = false
    @exclusivity(unchecked) private var wantsFlush = false
    /// Why it cannot be written to any more; it is closed at the end of the tick.
    private var broken: RedisError?
    /// Whether Redis speaks without being asked.
    private var isSubscribed = false
    /// Suspended until Redis has confirmed every channel of a subscription.
    var confirmations: Confirmations?

    var onConnected: (() -> Void)?
    /// Called once, when the connection is gone or could not be made, with the reason where Redis or our side has one; waiting
    /// calls fail after that.
    var onClosed: ((RedisError?) -> Void)?
    /// Hears messages of a subscription.
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

    deinit {
        if let context { redisFree(context) }
        qm_replies_free(replies)
    }

    // MARK: Life

    /// Begins to connect to a numeric address or a socket.
    /// - Parameters:
    ///   - tls: encrypts the connection.
    ///   - name: what the other side must then prove to be.
    func open(_ address: Sockets.Address, tls: RedisTLS? = nil, name: String = "") {
        let made: UnsafeMutablePointer<redisContext>? =
            switch address {
            case .unix(let path): redisConnectUnixNonBlock(path)
            case .tcp(let host, let port): redisConnectNonBlock(host, Int32(port))
            }
        if case .tcp(let name, _) = address { host = name }
        guard let made else { return close() }
        context = made
        guard made.pointee.err == 0, let replies else { return close() }
        if let tls {
            encryption = tls.begin(made, name: name)
            guard encryption != nil else { return close() }
        }
        _ = fcntl(made.pointee.fd, F_SETFD, FD_CLOEXEC)
        qm_use_replies(made, replies)
        let watcher = Watcher(loop: loop, descriptor: made.pointee.fd) { [unowned self] readiness in
            withExtendedLifetime(self) { isReady(readiness) }
        }
        self.watcher = watcher
        watcher.start()
        watcher.wantsWrites = true
    }

    /// Cuts the connection; waiting calls fail as lost before this returns.
    func close() { close(nil) }

    private func close(_ reason: RedisError?) {
        guard !wasClosed else { return }
        wasClosed = true
        isConnected = false
        timer?.cancel()
        watcher?.stop()
        watcher = nil
        if let context { redisFree(context) }
        context = nil
        let closed = onClosed
        (onConnected, onClosed, onMessage, onNoScript, onRefusal) = (nil, nil, nil, nil, nil)
        // Before the calls fail, whose makers may want to send again: they must not find us.
        withExtendedLifetime(self) {
            closed?(reason)
            while let entry = pending.removeFirst() { entry.call?.completed(.failure(.lost)) }
            let unconfirmed = confirmations
            confirmations = nil
            unconfirmed?.finished(false)
        }
    }

    private func isReady(_ readiness: Readiness) {
        if !isConnected { finishConnecting() }
        if readiness.contains(.read), isConnected { read() }
        if readiness.contains(.write), isConnected { flush() }
    }

    private func finishConnecting() {
        guard let context, Sockets.connectError(context.pointee.fd) == 0,
            !Sockets.isConnectedToItself(context.pointee.fd)
        else { return close() }
        isConnected = true
        watcher?.wantsWrites = false
        lastByteUs = loop.nowUs
        if hasUnwritten { queue() }
        onConnected?()
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
        guard append(writer.view, to: context) else { return call.completed(.failure(.unavailable)) }
        if pending.isEmpty { lastByteUs = loop.nowUs }
        pending.append(
            PendingCalls.Entry(
                call: call, deadlineUs: deadlineUs, lostUs: loop.lostUs, sentText: asText, redirections: redirections,
                hasPaused: hasPaused,
                isAsking: isAsking))
        watchDeadline(deadlineUs)
    }

    /// Sends `call` as one that was sent here by the node that has the slot until all of its keys are here.
    func ask(_ call: any RedisCall, deadlineUs: Int64, asText: Bool = false, redirections: UInt8) {
        send(CommandCall(["ASKING"]) { _ in }, deadlineUs: deadlineUs)
        send(call, deadlineUs: deadlineUs, asText: asText, redirections: redirections, isAsking: true)
    }

    /// From now on the connection only hears.
    /// - Parameter command: SUBSCRIBE, whole.
    /// - Returns: its descriptor; nil when there is no connection.
    func beginSubscription(_ command: ByteView) -> Int32? {
        guard let context, append(command, to: context) else { return nil }
        isSubscribed = true
        return context.pointee.fd
    }

    private func append(_ command: ByteView, to context: UnsafeMutablePointer<redisContext>) -> Bool {
        let text = UnsafeRawPointer(command.base).assumingMemoryBound(to: CChar.self)
        guard redisAppendFormattedCommand(context, text, command.count) == REDIS_OK else { return false }
        hasUnwritten = true
        queue()
        return true
    }

    private func queue() {
        guard isConnected, !isQueued else { return }
        isQueued = true
        loop.atEndOfTick(.commands, self)
    }

    func endOfTick() {
        isQueued = false
        if let broken { return close(broken) }
        flush()
    }

    /// Offers the operating system what was sent, now or, inside a reply, once all replies that have arrived are heard.
    /// Where the connection turns out to be gone, it is closed at the end of the tick and not while the caller is at work.
    func flush() {
        if isHearing {
            wantsFlush = true
            return
        }
        guard hasUnwritten, broken == nil, let context, isConnected else { return }
        traffic?.wrote(pending: pending.count)
        var isDone: Int32 = 0
        guard redisBufferWrite(context, &isDone) == REDIS_OK else {
            broken = .lost
            return queue()
        }
        hasUnwritten = isDone == 0
        // An encrypted connection may have to hear something before it can go on.
        watcher?.wantsWrites = hasUnwritten && encryption?.waitsToRead != true
    }

    // MARK: Hearing

    /// No reply that we ask for is nearly as large; whoever sends more is not Redis.
    private static let mostReplyBytes = Int(QM_REPLIES_MOST_BYTES)

    private func read() {
        guard let context, !isHearing else { return }
        lastByteUs = loop.nowUs
        guard redisBufferRead(context) == REDIS_OK else { return close(.lost) }
        hear()
        if hasUnwritten, wantsFlush || encryption != nil { flush() }
        wantsFlush = false
    }

    /// Hands out the replies that have arrived. Whoever hears one may close the connection.
    private func hear() {
        isHearing = true
        defer { isHearing = false }
        while let context {
            var reply: UnsafeMutableRawPointer?
            guard redisGetReplyFromReader(context, &reply) == REDIS_OK else {
                return breakOff("what it sends is not Redis's protocol")
            }
            guard let reply else {
                if context.pointee.reader.pointee.len > RedisLink.mostReplyBytes { breakOff("a reply is too large") }
                return
            }
            replied(UnsafePointer(reply.assumingMemoryBound(to: redisReply.self)))
            qm_reply_free(reply)
        }
    }

    private func breakOff(_ reason: String) { close(.unexpectedReply(reason)) }

    /// How Redis says that it has forgotten a script. A script's own errors may begin with the same word.
    private static let unknownScript: StaticString = "NOSCRIPT No matching script"

    private func replied(_ reply: UnsafePointer<redisReply>) {
        let view = ReplyView(reply)
        guard let entry = pending.removeFirst() else { return spoken(view) }
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

    /// Hears what no call waits for.
    private func spoken(_ view: ReplyView) {
        if view.isError { return close(RedisError(reply: view.bytes)) }
        guard isSubscribed else { return breakOff("it answered more than it was asked") }
        if view.count == 3, view[0].bytes == "subscribe" { confirmed() } else { onMessage?(view) }
    }

    // MARK: Deadlines

    /// One timer for all calls: it is set for the earliest deadline known and looks at all of them when it fires.
    private func watchDeadline(_ deadlineUs: Int64) {
        let wanted = min(deadlineUs, loop.nowUs + stallUs)
        guard wanted < timerAtUs else { return }
        timerAtUs = wanted
        if timer == nil {
            timer = LoopTimer(loop: loop) { [unowned self] in withExtendedLifetime(self) { deadlinePassed() } }
        }
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

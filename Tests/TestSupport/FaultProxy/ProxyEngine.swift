import EventLoops
import Glibc

/// The proxy's thread: carries bytes between clients and Redis, and does to them what the orders say.
final class ProxyEngine {
    /// An overtaken word that nobody overtakes goes on after this time.
    private static let overtakingUs: Int64 = 200_000

    private let listener: Int32
    private let redis: Sockets.Address
    private let orders: ProxyOrders
    private var links: [ProxyLink] = []
    /// Words that have gone to Redis.
    private var passed = 0
    private var nowUs: Int64 = 0

    init(listener: Int32, redis: Sockets.Address, orders: ProxyOrders) {
        self.listener = listener
        self.redis = redis
        self.orders = orders
    }

    func run() {
        while obey() {
            advance()
            links.removeAll { !$0.isOpen }
            wait()
        }
        for link in links { link.cut() }
        close(listener)
    }

    /// Does what the test has said meanwhile; false when it is over.
    private func obey() -> Bool {
        nowUs = MonotonicClock.nowUs()
        let (isStopped, cutsAll, isCalm) = orders.update { state in
            defer { state.cutsAll = false }
            return (state.isStopped, state.cutsAll, state.isCalm)
        }
        for link in links where cutsAll || (isCalm && link.cutAtUs != nil) { link.cut() }
        return !isStopped
    }

    /// Sends what is due, cuts what has stood half-open long enough.
    private func advance() {
        let isReleased = orders.read { $0.isReleased }
        // A word that goes on may be what another one waits for.
        var before = -1
        while before != passed {
            before = passed
            for link in links {
                if let cutAtUs = link.cutAtUs, cutAtUs <= nowUs { link.cut() }
                let sent = send(&link.toRedis, to: link.server, isReleased)
                if sent < 0 { link.closeServer() } else { passed += sent }
                if send(&link.toClient, to: link.client, isReleased) < 0 { link.closeClient() }
                link.tidy()
            }
        }
    }

    /// How many chunks went out; -1 when the socket is broken.
    private func send(_ pipe: inout ProxyLink.Pipe, to descriptor: Int32, _ isReleased: Bool) -> Int {
        var sent = 0
        pipe.isBlocked = false
        while descriptor >= 0, let chunk = pipe.chunks.first, !chunk.isHeld || isReleased,
            chunk.dueUs <= nowUs || chunk.passed.map({ $0 <= passed }) ?? false
        {
            let count = chunk.bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                // A connection still under way is not connected yet.
                pipe.isBlocked = errno == EAGAIN || errno == ENOTCONN
                if pipe.isBlocked || errno == EINTR { break }
                return -1
            }
            if count == chunk.bytes.count {
                pipe.chunks.removeFirst()
                sent += 1
            } else {
                pipe.chunks[0].bytes.removeFirst(count)
            }
        }
        return sent
    }

    // MARK: Waiting

    private func wait() {
        var entries = [
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
            pollfd(fd: orders.bell, events: Int16(POLLIN), revents: 0),
        ]
        for link in links {
            // An ended side is heard of no more, or its end would be told again and again.
            entries.append(
                entry(link.client, reads: !link.toRedis.isEnded, writes: link.toClient.isBlocked))
            entries.append(
                entry(link.server, reads: !link.toClient.isEnded, writes: link.toRedis.isBlocked))
        }
        guard poll(&entries, nfds_t(entries.count), timeoutMs()) > 0 else { return }
        nowUs = MonotonicClock.nowUs()
        if entries[1].revents != 0 { _ = ProxyLink.receive(orders.bell) }
        for (index, link) in links.enumerated() {
            if entries[2 + 2 * index].revents & ~Int16(POLLOUT) != 0 { hearClient(link) }
            if entries[3 + 2 * index].revents & ~Int16(POLLOUT) != 0 { hearRedis(link) }
        }
        if entries[0].revents != 0 { accept() }
    }

    private func entry(_ descriptor: Int32, reads: Bool, writes: Bool) -> pollfd {
        let events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0)
        return pollfd(fd: events == 0 ? -1 : descriptor, events: Int16(events), revents: 0)
    }

    private func timeoutMs() -> Int32 {
        var next = Int64.max
        for link in links {
            next = min(next, link.cutAtUs ?? .max)
            for pipe in [link.toRedis, link.toClient] {
                if let chunk = pipe.chunks.first, !chunk.isHeld, !pipe.isBlocked { next = min(next, chunk.dueUs) }
            }
        }
        return next == .max ? -1 : Int32(max(0, (next - nowUs + 999) / 1000))
    }

    private func accept() {
        while let client = try? Sockets.accept(listener) {
            guard !orders.read({ $0.isAway }), let server = try? Sockets.connect(redis) else {
                close(client)
                continue
            }
            let number = orders.update { state in
                defer { state.accepted += 1 }
                return state.accepted
            }
            links.append(ProxyLink(number: number, client: client, server: server))
        }
    }

    // MARK: Words and answers

    private func hearClient(_ link: ProxyLink) {
        guard link.client >= 0, let word = ProxyLink.receive(link.client) else { return }
        if word.isEmpty { return link.closeClient() }
        if orders.read({ $0.isAway }) { return link.cut() }
        switch orders.update({ $0.fault(of: word, connection: link.number) }) {
        case .none: link.toRedis.append(word, dueUs: nowUs)
        case .cutBefore: link.cut()
        case .cutAfter:
            link.toRedis.append(word, dueUs: nowUs)
            link.fate = .cuts(forGood: false)
        case .cutAfterForGood:
            orders.update { $0.isAway = true }
            link.toRedis.append(word, dueUs: nowUs)
            link.fate = .cuts(forGood: true)
        case .late:
            link.toRedis.append(word, dueUs: nowUs, isHeld: true)
            link.fate = .isNoted
            link.closeClient()
        case .delay(let us): link.toRedis.append(word, dueUs: nowUs + us)
        case .truncate(let bytes):
            link.toRedis.append(word, dueUs: nowUs)
            link.fate = .truncates(to: bytes)
        case .swallow(let direction, let us):
            link.toRedis.vanishes = link.toRedis.vanishes || direction != .toClient
            link.toClient.vanishes = link.toClient.vanishes || direction != .toRedis
            link.toRedis.append(word, dueUs: nowUs)
            link.cutAtUs = min(link.cutAtUs ?? .max, nowUs + us)
        case .overtaken(let count):
            link.toRedis.append(word, dueUs: nowUs + ProxyEngine.overtakingUs, passed: passed + count)
        }
    }

    private func hearRedis(_ link: ProxyLink) {
        guard link.server >= 0, let answer = ProxyLink.receive(link.server) else { return }
        if answer.isEmpty { return link.closeServer() }
        switch link.fate {
        case .passes: link.toClient.append(answer, dueUs: nowUs)
        case .cuts: link.cut()
        case .truncates(let bytes):
            link.toClient.append(Array(answer.prefix(min(bytes, answer.count - 1))), dueUs: nowUs)
            link.closeServer()
        case .isNoted:
            orders.lateReplies.add(String(decoding: answer, as: UTF8.self))
            link.cut()
        }
    }
}

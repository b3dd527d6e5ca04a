import Bytes
import EventLoops
import Glibc

/// Keeps one link up: looks up the address, connects, authenticates, prepares, and begins anew with growing, jittered
/// pauses when any of it fails or the link breaks.
final class RedisConnector {
    /// What a newly made link must do before it is ready (load scripts, subscribe); throws to fail the attempt.
    typealias Preparation = (RedisLink) async throws -> Void

    private let loop: EventLoop
    private let configuration: RedisConfiguration
    private let prepare: Preparation
    private var state = RedisConnectionState()
    private var address: Sockets.Address?
    private var timer: LoopTimer?
    private var attemptTimer: LoopTimer?
    private var waiters: [() -> Void] = []

    /// The link while it is ready.
    private(set) var link: RedisLink?
    private var unfinished: RedisLink?
    var onReady: (() -> Void)?
    var onLost: (() -> Void)?

    init(loop: EventLoop, configuration: RedisConfiguration, prepare: @escaping Preparation) {
        self.loop = loop
        self.configuration = configuration
        self.prepare = prepare
    }

    func start() { perform(state.handle(.started)) }

    func close() { perform(state.handle(.closed)) }

    private func perform(_ action: RedisConnectionState.Action) {
        switch action {
        case .nothing: break
        case .resolve: resolve()
        case .connect: connect()
        case .prepare: prepareLink()
        case .announceReady:
            attemptTimer = nil
            link = unfinished
            unfinished = nil
            let waiting = waiters
            waiters = []
            for waiter in waiting { waiter() }
            onReady?()
        case .retry(let afterUs):
            drop()
            timer = loop.after(us: afterUs / 2 + Int64.random(in: 0...afterUs / 2)) { [weak self] in
                if let self { perform(state.handle(.retryDue)) }
            }
        case .tearDown:
            timer = nil
            drop()
        }
    }

    private func resolve() {
        switch configuration.address {
        case .unix(let path):
            address = .unix(path: path)
            perform(state.handle(.resolved))
        case .tcp(let host, let port):
            loop.spawn { [self] in
                let found = await BlockingPool.shared.run { Resolver.numericAddress(of: host) }
                address = found.map { .tcp(host: $0, port: port) }
                perform(state.handle(found == nil ? .failed : .resolved))
            }
        }
    }

    private func connect() {
        guard let address else { return }
        let link = RedisLink(loop: loop, configuration: configuration)
        unfinished = link
        link.onConnected = { [weak self] in
            if let self { perform(state.handle(.connected)) }
        }
        link.onClosed = { [weak self, weak link] in
            if let self, link === self.link || link === unfinished { perform(state.handle(.failed)) }
        }
        attemptTimer = loop.after(us: configuration.connectTimeoutUs) { [weak self] in self?.unfinished?.close() }
        link.open(address)
    }

    private func prepareLink() {
        guard let link = unfinished else { return }
        loop.spawn { [self] in
            do {
                try await letIn(link)
                try await prepare(link)
                if link === unfinished { perform(state.handle(.prepared)) }
            } catch {
                lastError = error as? RedisError
                if link === unfinished { link.close() }
            }
        }
    }

    /// Suspends until the link is ready; nil when it is not within `timeoutUs`.
    func whenReady(timeoutUs: Int64) async -> RedisLink? {
        if let link { return link }
        var timer: LoopTimer?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            var isDone = false
            let finish = {
                if isDone { return }
                isDone = true
                continuation.resume()
            }
            waiters.append(finish)
            timer = loop.after(us: timeoutUs, finish)
        }
        withExtendedLifetime(timer) {}
        return link
    }

    /// Why the last attempt failed after it was connected.
    private(set) var lastError: RedisError?

    private func letIn(_ link: RedisLink) async throws(RedisError) {
        if let password = configuration.password {
            _ = try await link.send(["AUTH"] + (configuration.user.map { [$0] } ?? []) + [password], loop)
        }
        if configuration.database != 0 {
            _ = try await link.send(["SELECT", String(configuration.database)], loop)
        }
    }

    private func drop() {
        let wasReady = link != nil
        let old = link ?? unfinished
        link = nil
        unfinished = nil
        attemptTimer = nil
        old?.close()
        if wasReady { onLost?() }
    }
}

extension RedisLink {
    /// Sends one command of the handshake.
    func send(_ arguments: [String], _ loop: EventLoop) async throws(RedisError) -> RedisReply {
        try await CommandCall.reply { send(CommandCall(arguments, then: $0), deadlineUs: loop.nowUs + 2_000_000) }
    }
}

enum Resolver {
    /// The first address of a name, as text; nil when it has none. Blocks.
    static func numericAddress(of host: String) -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0, let first = found else { return nil }
        defer { freeaddrinfo(found) }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard
            getnameinfo(
                first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                == 0
        else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

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
    /// What the name stands for; after an attempt that failed the next one is tried.
    private var addresses: [Sockets.Address] = []
    private var failedAttempts = 0
    private var timer: LoopTimer?
    private var attemptTimer: LoopTimer?
    private var waiters: [Int: () -> Void] = [:]
    private var lastWaiter = 0

    /// The link while it is ready.
    @exclusivity(unchecked) private(set) var link: RedisLink?
    private var unfinished: RedisLink?
    var onReady: (() -> Void)?
    var onLost: (() -> Void)?
    /// Where the links count what they do, if anyone wants to know.
    var traffic: RedisTraffic?

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
            lastError = nil
            wakeWaiters()
            onReady?()
        case .retry(let afterUs):
            drop()
            timer = loop.after(us: afterUs / 2 + Int64.random(in: 0...afterUs / 2)) { [weak self] in
                if let self { perform(state.handle(.retryDue)) }
            }
        case .tearDown:
            timer = nil
            drop()
            wakeWaiters()
        }
    }

    deinit { (link ?? unfinished)?.close() }

    private func resolve() {
        switch configuration.address {
        case .unix(let path):
            addresses = [.unix(path: path)]
            perform(state.handle(.resolved))
        case .tcp(let host, let port):
            loop.spawn { [self] in
                let found = await BlockingPool.shared.run { Resolver.numericAddresses(of: host) }
                addresses = found.map { .tcp(host: $0, port: port) }
                perform(state.handle(found.isEmpty ? .failed : .resolved))
            }
        }
    }

    private func connect() {
        let address = addresses[failedAttempts % addresses.count]
        let link = RedisLink(loop: loop, configuration: configuration)
        unfinished = link
        link.traffic = traffic
        link.onConnected = { [weak self] in
            if let self { perform(state.handle(.connected)) }
        }
        // By identity, not by a weak reference, which would make every later retain of the link a slow one.
        let identity = ObjectIdentifier(link)
        link.onClosed = { [weak self] in
            if let self, (self.link ?? unfinished).map(ObjectIdentifier.init) == identity {
                perform(state.handle(.failed))
            }
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
            lastWaiter += 1
            let number = lastWaiter
            waiters[number] = { continuation.resume() }
            timer = loop.after(us: timeoutUs) { [weak self] in self?.waiters.removeValue(forKey: number)?() }
        }
        withExtendedLifetime(timer) {}
        return link
    }

    private func wakeWaiters() {
        let waiting = waiters.sorted { $0.key < $1.key }
        waiters = [:]
        for (_, wake) in waiting { wake() }
    }

    /// Why the last attempt failed after it was connected.
    private(set) var lastError: RedisError?

    private func letIn(_ link: RedisLink) async throws(RedisError) {
        if let password = configuration.password {
            _ = try await link.send(["AUTH"] + (configuration.user.map { [$0] } ?? []) + [password])
        }
        if configuration.database != 0 {
            _ = try await link.send(["SELECT", String(configuration.database)])
        }
    }

    private func drop() {
        let wasReady = link != nil
        let old = link ?? unfinished
        link = nil
        unfinished = nil
        attemptTimer = nil
        old?.close()
        if wasReady { onLost?() } else { failedAttempts += 1 }
    }
}

extension RedisLink {
    /// Sends one command of the handshake, which the attempt's own timer bounds.
    func send(_ arguments: [String]) async throws(RedisError) -> RedisReply {
        try await CommandCall.reply { send(CommandCall(arguments, then: $0), deadlineUs: .max) }
    }
}

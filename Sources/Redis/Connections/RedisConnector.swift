import Bytes
import EventLoops
import Glibc

/// Keeps one link up: looks up the address, connects, authenticates, prepares, and begins anew with growing, jittered
/// pauses when any of it fails or the link breaks.
final class RedisConnector {
    /// What a newly made link must do before it is ready (load scripts, subscribe); throws to fail the attempt.
    typealias Preparation = (RedisLink) async throws -> Void

    private let loop: EventLoop
    private weak var topology: RedisTopology?
    private let configuration: RedisConfiguration
    private let prepare: Preparation
    private var state = RedisConnectionState()
    /// Where to; another place counts from the next attempt.
    var place: RedisPlace
    /// What the place and the name stand for; after an attempt that failed the next one is tried.
    private var targets: [Target] = []
    private var failedAttempts = 0
    /// Where the connection leads, as it was named to us.
    private(set) var address: RedisConfiguration.Address?

    private struct Target: Sendable {
        let address: RedisConfiguration.Address
        let numeric: Sockets.Address
    }
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

    /// - Parameter configuration: how to be let in; nil: as the topology's servers do.
    init(
        topology: RedisTopology, place: RedisPlace, configuration: RedisConfiguration? = nil,
        prepare: @escaping Preparation
    ) {
        self.topology = topology
        self.place = place
        self.configuration = configuration ?? topology.configuration
        self.prepare = prepare
        loop = topology.loop
    }

    func start() {
        topology?.add(self)
        perform(state.handle(.started))
    }

    func close() {
        topology?.remove(self)
        perform(state.handle(.closed))
    }

    /// The server that was connected to is no use: the place's next one may be.
    func tryAnother() {
        failedAttempts += 1
        link?.close()
    }

    /// Goes where the place is now, if it is elsewhere than we are.
    func follow() {
        let known = topology?.known(place) ?? []
        if known.isEmpty { return }
        switch state.phase {
        case .connecting, .preparing, .ready:
            if !isAtPlace { perform(state.handle(.moved)) }
        case .backingOff: perform(state.handle(.moved))
        case .idle, .resolving, .closed: break
        }
    }

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
        timer = nil
        if case .one(.unix(let path)) = configuration.topology {
            targets = [Target(address: .unix(path: path), numeric: .unix(path: path))]
            return perform(state.handle(.resolved))
        }
        loop.spawn { [self] in
            let addresses = await topology?.addresses(of: place) ?? []
            targets = await BlockingPool.shared.run { RedisConnector.targets(addresses) }
            perform(state.handle(targets.isEmpty ? .failed : .resolved))
        }
    }

    /// Blocks.
    private static func targets(_ addresses: [RedisConfiguration.Address]) -> [Target] {
        addresses.flatMap { address -> [Target] in
            switch address {
            case .unix(let path): [Target(address: address, numeric: .unix(path: path))]
            case .tcp(let host, let port):
                Resolver.numericAddresses(of: host).map {
                    Target(address: address, numeric: .tcp(host: $0, port: port))
                }
            }
        }
    }

    private func connect() {
        let target = targets[failedAttempts % targets.count]
        address = target.address
        let link = RedisLink(loop: loop, configuration: configuration)
        unfinished = link
        link.traffic = traffic
        link.onConnected = { [weak self] in
            if let self { perform(state.handle(.connected)) }
        }
        // By identity, not by a weak reference, which would make every later retain of the link a slow one.
        let identity = ObjectIdentifier(link)
        link.onClosed = { [weak self] reason in
            guard let self, (self.link ?? unfinished).map(ObjectIdentifier.init) == identity else { return }
            if let reason { failed(reason) }
            perform(state.handle(.failed))
        }
        attemptTimer = loop.after(us: configuration.connectTimeoutUs) { [weak self] in self?.unfinished?.close() }
        var name = ""
        if case .tcp(let host, _) = target.address { name = host }
        link.open(target.numeric, tls: topology?.tls, name: name)
    }

    /// While a name was looked up, a connection made and a server asked, the place may have come to be elsewhere.
    private var isAtPlace: Bool {
        let known = topology?.known(place) ?? []
        return known.isEmpty || address.map(known.contains) ?? true
    }

    private func prepareLink() {
        guard let link = unfinished else { return }
        loop.spawn { [self] in
            do {
                try await letIn(link)
                try await checkRole(link)
                try await prepare(link)
                guard link === unfinished else { return }
                perform(state.handle(isAtPlace ? .prepared : .moved))
            } catch {
                guard link === unfinished else { return }
                lastError = error as? RedisError
                link.close()
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

    private func failed(_ reason: RedisError) {
        lastError = reason
        if reason != .lost { topology?.onBreach?(address.map { "\($0)" } ?? "", reason) }
    }

    private func letIn(_ link: RedisLink) async throws(RedisError) {
        if let password = configuration.password {
            _ = try await link.send(["AUTH"] + (configuration.user.map { [$0] } ?? []) + [password])
        }
        if configuration.database != 0 {
            _ = try await link.send(["SELECT", String(configuration.database)])
        }
    }

    /// Sentinel's word may be old, and a master that was may not know yet that it is none.
    private func checkRole(_ link: RedisLink) async throws(RedisError) {
        guard let topology, topology.mustBeMaster(place) else { return }
        guard case .array(let role) = try await link.send(["ROLE"]), role.first?.string == "master" else {
            topology.sentinels?.wasWrong()
            throw .unexpectedReply("the server that Sentinel names is no master")
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

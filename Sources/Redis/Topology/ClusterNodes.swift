import Bytes
import EventLoops

/// One client's connections to the nodes of a cluster: sends each call to the node of its slot, and again where that one
/// says so.
final class ClusterNodes {
    private let topology: RedisTopology
    private let watch: ClusterWatch
    private let scripts: [Script]
    private let traffic: RedisTraffic
    /// By the numbers of the map; nil: not connected to.
    private(set) var nodes: [RedisNode?] = []
    private var waiting: WaitingCalls!
    private var waiters: [Int: () -> Void] = [:]
    private var lastWaiter = 0
    private var isClosed = false
    var onStateChange: ((RedisNode, Bool) -> Void)?
    /// A call that was sent elsewhere this often without a pause is sent again only after one.
    private static let mostAtOnce: UInt8 = 2

    init(topology: RedisTopology, watch: ClusterWatch, scripts: [Script], traffic: RedisTraffic) {
        self.topology = topology
        self.watch = watch
        self.scripts = scripts
        self.traffic = traffic
        waiting = WaitingCalls(loop: topology.loop, most: topology.configuration.maxPending) { [unowned self] entry in
            send(
                entry.call, deadlineUs: entry.deadlineUs, redirections: entry.redirections, because: entry.error,
                hasPaused: true)
        }
        topology.onChange.append { [weak self] in self?.update() }
        watch.isMissing = { [weak self] in self.map { !$0.isReady } ?? false }
    }

    func close() {
        isClosed = true
        for node in nodes { node?.close() }
        nodes = []
        waiting.close()
        wake()
    }

    // MARK: Nodes

    /// Connects to the masters there are, and lets go of those that are none any more.
    private func update() {
        if isClosed { return }
        for number in watch.map.masters { _ = node(number) }
        for number in nodes.indices where !watch.map.masters.contains(number) {
            let gone = nodes[number]
            nodes[number] = nil
            gone?.close()
        }
        if isReady { wake() }
    }

    private func node(_ number: Int) -> RedisNode {
        while nodes.count <= number { nodes.append(nil) }
        if let node = nodes[number] { return node }
        let node = RedisNode(
            topology: topology, place: .node(watch.map.addresses[number]), scripts: scripts, traffic: traffic)
        nodes[number] = node
        node.onStateChange = { [weak self] in self?.changed($0, $1) }
        node.onRefusal = { [weak self] in self?.refused($0, $1, $2) ?? false }
        node.connector.start()
        return node
    }

    private func changed(_ node: RedisNode, _ isReady: Bool) {
        onStateChange?(node, isReady)
        if !isReady { watch.askSoon() } else if self.isReady { wake() }
    }

    /// The node that serves a slot, if there is a connection to it.
    func node(ofSlot slot: Int) -> RedisNode? {
        guard let number = watch.map.owner(ofSlot: slot), number < nodes.count else { return nil }
        return nodes[number]
    }

    var all: [RedisNode] { nodes.compactMap { $0 } }

    /// Whether every slot has a node that answers.
    var isReady: Bool {
        watch.map.isComplete && watch.map.masters.allSatisfy { $0 < nodes.count && nodes[$0]?.connector.link != nil }
    }

    var isAnyReady: Bool { nodes.contains { $0?.connector.link != nil } }

    func whenReady(timeoutUs: Int64) async -> Bool {
        if isReady { return true }
        var timer: LoopTimer?
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            lastWaiter += 1
            let number = lastWaiter
            waiters[number] = { continuation.resume() }
            timer = topology.loop.after(us: timeoutUs) { [weak self] in self?.waiters.removeValue(forKey: number)?() }
        }
        withExtendedLifetime(timer) {}
        // Part of a cluster is better than none of it.
        return isAnyReady
    }

    private func wake() {
        let waking = waiters
        waiters = [:]
        for (_, wake) in waking { wake() }
    }

    // MARK: Calls

    func send(
        _ call: any RedisCall, deadlineUs: Int64, redirections: UInt8 = 0, because error: RedisError = .unavailable,
        hasPaused: Bool = false
    ) {
        let node: RedisNode? =
            switch call.route {
            case .key(let key): node(ofSlot: RedisSlot.of(key))
            case .any: nodes.first { $0?.connector.link != nil } ?? nil
            }
        guard let link = node?.connector.link else { return call.completed(.failure(error)) }
        link.send(call, deadlineUs: deadlineUs, redirections: redirections, hasPaused: hasPaused)
    }

    /// - Returns: whether the call was taken over.
    private func refused(_ link: RedisLink, _ entry: PendingCalls.Entry, _ reply: ByteView) -> Bool {
        guard let call = entry.call, let redirection = Redirection(reply, answering: link.host) else { return false }
        let redirections = entry.redirections &+ (entry.redirections == .max ? 0 : 1)
        // A first word is followed at once, and any that comes after a pause.
        let isAtOnce = redirections <= ClusterNodes.mostAtOnce || entry.hasPaused
        let error = RedisError(reply: reply)
        switch redirection {
        case .moved(let slot, let address):
            _ = node(watch.learn(slot: slot, at: address))
            guard isAtOnce, node(ofSlot: slot)?.connector.link != nil else { break }
            send(call, deadlineUs: entry.deadlineUs, redirections: redirections, because: error)
            return true
        case .ask(let address):
            guard isAtOnce, let there = node(watch.number(of: address)).connector.link else { break }
            there.ask(call, deadlineUs: entry.deadlineUs, redirections: redirections)
            return true
        case .later: watch.askSoon()
        }
        waiting.add(call, deadlineUs: entry.deadlineUs, redirections: redirections, error: error)
        return true
    }
}

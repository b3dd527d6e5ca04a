import EventLoops

/// Keeps asking nodes of a cluster who serves what.
final class ClusterWatch {
    private let loop: EventLoop
    private weak var topology: RedisTopology?
    private let seeds: [RedisConfiguration.Address]
    private(set) var map = SlotMap()
    private var asking: RedisConnector!
    private var timer: LoopTimer?
    private var telling: LoopTimer?
    /// Whether a node that should serve slots cannot be reached.
    var isMissing: () -> Bool = { false }
    private var isAsking = false
    private var mustAskAgain = false

    /// Who serves what may change without a call of ours being told.
    static let pollUs: Int64 = 500_000
    private static let soonUs: Int64 = 20_000
    private static let answerUs: Int64 = 300_000

    init(topology: RedisTopology, seeds: [RedisConfiguration.Address]) {
        self.topology = topology
        loop = topology.loop
        self.seeds = seeds
        asking = RedisConnector(topology: topology, place: .listed(seeds)) { [weak self] _ in self?.askSoon() }
        timer = LoopTimer(loop: loop) { [weak self] in self?.ask() }
    }

    func start() { asking.start() }

    func close() {
        timer = nil
        telling = nil
        asking.close()
    }

    // MARK: What calls hear

    /// A node said that a slot is served by another; what else it may have lost is asked soon.
    /// - Returns: the other one's number.
    func learn(slot: Int, at address: RedisConfiguration.Address) -> Int {
        let number = map.move(slot: slot, to: address)
        // Known or not: whoever was told so is at the wrong node.
        tellSoon()
        askSoon()
        return number
    }

    /// In the next tick: what is said behind this, by the same node, is heard first.
    private func tellSoon() {
        if telling != nil { return }
        telling = loop.after(us: 0) { [weak self] in
            self?.telling = nil
            self?.topology?.changed()
        }
    }

    func number(of address: RedisConfiguration.Address) -> Int { map.number(of: address) }

    /// A node is gone, or nobody serves a slot.
    func askSoon() {
        if isAsking { mustAskAgain = true } else { timer?.start(afterUs: ClusterWatch.soonUs) }
    }

    // MARK: Asking

    private func ask() {
        guard !isAsking else { return }
        isAsking = true
        loop.spawn { [weak self] in
            await self?.refresh()
            guard let self else { return }
            isAsking = false
            timer?.start(afterUs: mustAskAgain ? ClusterWatch.soonUs : ClusterWatch.pollUs)
            mustAskAgain = false
        }
    }

    private func refresh() async {
        guard let link = await asking.whenReady(timeoutUs: ClusterWatch.answerUs) else { return }
        let deadlineUs = loop.nowUs + ClusterWatch.answerUs
        let reply = try? await CommandCall.reply {
            link.send(CommandCall(["CLUSTER", "NODES"], then: $0), deadlineUs: deadlineUs)
        }
        guard let text = reply?.string else {
            // It is gone, hangs, or is no cluster's: the next one may answer.
            asking.tryAnother()
            return
        }
        let host = if case .tcp(let host, _)? = asking.address { host } else { "" }
        guard map.learn(text, answering: host) else {
            // One that is cut off from the others, or no longer one of them, answers and knows nothing of what is new.
            if isMissing() { asking.tryAnother() }
            return
        }
        // Where the seeds are gone, any other node will do.
        asking.place = .listed(seeds + map.masters.map { map.addresses[$0] }.filter { !seeds.contains($0) })
        topology?.changed()
    }
}

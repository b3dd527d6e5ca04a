import EventLoops

/// Where a connection is to lead.
enum RedisPlace: Equatable {
    /// One of these, whichever answers.
    case listed([RedisConfiguration.Address])
    /// The one server, or the master that Sentinel names.
    case master
    /// A node of a cluster.
    case node(RedisConfiguration.Address)
    /// The node that serves a slot; where there are no slots, the master.
    case slot(Int)
    /// Any node of a cluster; where there is none, the master.
    case anyNode
}

/// Where Redis is, as one loop knows it: it asks Sentinels or nodes, and tells the loop's connections when they are to lead
/// elsewhere.
final class RedisTopology {
    let loop: EventLoop
    let configuration: RedisConfiguration
    private(set) var sentinels: SentinelWatch?
    private(set) var cluster: ClusterWatch?
    private var followers: [ObjectIdentifier: Follower] = [:]
    /// Called with each change.
    var onChange: [() -> Void] = []
    /// Called when a connection is ended because of what a server sent on it unasked: its address, and why.
    var onBreach: ((_ server: String, _ reason: RedisError) -> Void)?
    private var isStarted = false
    /// Encrypts connections, if they are to be.
    private(set) lazy var tls: RedisTLS? = configuration.tls.map(RedisTLS.init)

    private struct Follower { weak var connector: RedisConnector? }

    init(loop: EventLoop, configuration: RedisConfiguration) {
        self.loop = loop
        self.configuration = configuration
        switch configuration.topology {
        case .one: break
        case .sentinel(let addresses, let master):
            sentinels = SentinelWatch(topology: self, addresses: addresses, master: master)
        case .cluster(let addresses): cluster = ClusterWatch(topology: self, seeds: addresses)
        }
    }

    func start() {
        if isStarted { return }
        isStarted = true
        sentinels?.start()
        cluster?.start()
    }

    func close() {
        sentinels?.close()
        cluster?.close()
        onChange = []
        onBreach = nil
    }

    deinit {
        sentinels?.close()
        cluster?.close()
    }

    // MARK: Places

    /// Where a place is, the likeliest address first; empty while that is not known.
    func addresses(of place: RedisPlace) async -> [RedisConfiguration.Address] {
        if mustBeMaster(place), let sentinels { return await sentinels.ask().map { [$0] } ?? [] }
        return known(place)
    }

    /// The same without asking anybody.
    func known(_ place: RedisPlace) -> [RedisConfiguration.Address] {
        switch (place, configuration.topology) {
        case (.listed(let addresses), _): addresses
        case (.node(let address), _): [address]
        case (_, .one(let address)): [address]
        case (_, .sentinel): sentinels?.master.map { [$0] } ?? []
        case (.slot(let slot), .cluster): cluster?.map.owner(ofSlot: slot).map { [cluster!.map.addresses[$0]] } ?? []
        case (_, .cluster): cluster?.map.masters.shuffled().map { cluster!.map.addresses[$0] } ?? []
        }
    }

    /// Whether a server that lets us in must be a master: Sentinel's word may be old.
    func mustBeMaster(_ place: RedisPlace) -> Bool {
        guard sentinels != nil else { return false }
        switch place {
        case .master, .slot, .anyNode: return true
        case .listed, .node: return false
        }
    }

    // MARK: Followers

    /// `connector` is told of every change while it lives.
    func add(_ connector: RedisConnector) {
        followers[ObjectIdentifier(connector)] = Follower(connector: connector)
    }

    func remove(_ connector: RedisConnector) { followers[ObjectIdentifier(connector)] = nil }

    /// What is known has changed.
    func changed() {
        for follower in Array(followers.values) { follower.connector?.follow() }
        for tell in onChange { tell() }
    }
}

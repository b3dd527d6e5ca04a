import Digests
import EventLoops
import HTTP
import Redis
import Services

/// The polls of a loop that wait for work. A marker that says there is work wakes one of them, the one that has waited the
/// longest; what that one leaves is told by the next marker.
final class LeaseWaits {
    /// A queue's jobs of a type.
    struct Place: Hashable {
        let queue: QueueName
        let type: String
    }

    enum Outcome {
        case work(Place)
        /// The time is over, the client has left, or the server drains.
        case over
        /// Nobody listens for this one: it is to look again.
        case unheard
    }

    /// A poll that waits.
    private final class Poll {
        let queues: [QueueName]?
        let types: [String]
        private var resume: ((Outcome) -> Void)?
        var timer: LoopTimer?

        init(_ queues: [QueueName]?, _ types: [String], _ resume: @escaping (Outcome) -> Void) {
            self.queues = queues
            self.types = types
            self.resume = resume
        }

        /// One that has been ended, and has not gone on yet, wants nothing more.
        func wants(_ place: Place) -> Bool {
            resume != nil && types.contains(place.type) && (queues?.contains(place.queue) ?? true)
        }

        func end(_ outcome: Outcome) {
            timer = nil
            guard let resume else { return }
            self.resume = nil
            resume(outcome)
        }
    }

    private let context: ServiceContext
    private let keys: QueueKeys
    private var polls: [Poll] = []
    private var queues: Set<QueueName> = []
    /// Places where nothing was left at the last look, and of which no marker was heard since.
    private var quiet: Set<Place> = []
    /// How many looks at a place are under way.
    private var looks: [Place: Int] = [:]
    /// Places that polls have waited for lately, and until when they are listened for (µs), so that one that comes again
    /// finds all as it was.
    private var lingering: [Place: Int64] = [:]
    /// By queue in a cluster, where a wait is for one slot; else the one for all is under nil.
    private var waits: [QueueName?: MarkerWait] = [:]
    /// How many markers were heard so far.
    private(set) var ears = 0

    private static let lingerUs: Int64 = 3_000_000
    private static let mostWaits = 64
    private static let mostPlaces = 5000
    private static let lookAgainUs: Int64 = 250_000

    init(context: ServiceContext, keys: QueueKeys) {
        self.context = context
        self.keys = keys
    }

    /// Whether a look may find something. False only while a marker would tell of it: of what another look leaves as well, so
    /// that of many polls that come at once only one looks.
    func mayHaveWork(_ queue: QueueName, _ types: [String]) -> Bool {
        !types.allSatisfy { type in
            let place = Place(queue: queue, type: type)
            return quiet.contains(place) || looks[place] != nil
        }
    }

    /// A look begins; `looked` or `couldNotLook` ends it.
    func look(_ queue: QueueName, _ types: [String]) {
        for type in types { looks[Place(queue: queue, type: type), default: 0] += 1 }
    }

    func couldNotLook(_ queue: QueueName, _ types: [String]) { _ = endLook(queue, types) }

    private func endLook(_ queue: QueueName, _ types: [String]) -> [Place] {
        let places = types.map { Place(queue: queue, type: $0) }
        for place in places {
            let left = (looks[place] ?? 1) - 1
            looks[place] = left > 0 ? left : nil
        }
        return places
    }

    /// A look is over.
    /// - Parameters:
    ///   - foundAll: whether nothing was left.
    ///   - ears: how many markers had been heard before it began.
    func looked(_ queue: QueueName, _ types: [String], foundAll: Bool, ears: Int) {
        let places = endLook(queue, types)
        guard foundAll, ears == self.ears else { return quiet.subtract(places) }
        if quiet.count > LeaseWaits.mostPlaces { quiet = [] }
        quiet.formUnion(places)
    }

    /// Waits until there may be work, the client has left, or `untilUs`.
    func wait(_ queues: [QueueName]?, _ types: [String], _ exchange: Exchange, untilUs: Int64) async -> Outcome {
        let loop = context.loop
        let isHeard = listens(for: queues)
        let endUs = isHeard ? untilUs : min(untilUs, loop.nowUs + LeaseWaits.lookAgainUs)
        var poll: Poll?
        let outcome = await suspend { (resume: @escaping (Outcome) -> Void) in
            let fresh = Poll(queues, types, resume)
            poll = fresh
            fresh.timer = loop.after(us: max(0, endUs - loop.nowUs)) { [unowned fresh] in
                fresh.end(isHeard ? .over : .unheard)
            }
            exchange.onGone = { [weak fresh] in fresh?.end(.over) }
            polls.append(fresh)
            listen()
        }
        exchange.onGone = nil
        polls.removeAll { $0 === poll }
        let lingersUs = loop.nowUs + LeaseWaits.lingerUs
        for place in places(queues, types) { lingering[place] = lingersUs }
        return outcome
    }

    /// Somebody was woken who cannot take it.
    func passOn(_ place: Place) { hear(place) }

    func endAll() {
        for poll in polls { poll.end(.over) }
    }

    func stop() {
        endAll()
        for wait in waits.values { wait.stop() }
        waits = [:]
    }

    func hasQueue(_ queue: QueueName) {
        guard queues.insert(queue).inserted, polls.contains(where: { $0.queues == nil }) else { return }
        listen()
    }

    // MARK: Listening

    private func places(_ queues: [QueueName]?, _ types: [String]) -> [Place] {
        (queues ?? Array(self.queues)).flatMap { queue in types.map { Place(queue: queue, type: $0) } }
    }

    /// What is listened for now.
    private var wanted: Set<Place> {
        let nowUs = context.loop.nowUs
        lingering = lingering.filter { $0.value > nowUs }
        var wanted = Set(lingering.keys)
        for poll in polls where wanted.count < LeaseWaits.mostPlaces {
            wanted.formUnion(places(poll.queues, poll.types))
        }
        return wanted
    }

    /// Whether there are waits enough for these queues.
    private func listens(for queues: [QueueName]?) -> Bool {
        guard context.redis.isCluster else { return true }
        let missing = (queues ?? Array(self.queues)).filter { waits[$0] == nil }
        return waits.count + missing.count <= LeaseWaits.mostWaits
    }

    /// Has the waits know what is wanted.
    private func listen() {
        let wanted = wanted
        guard context.redis.isCluster else { return wait(nil).want(wanted) }
        for (queue, places) in Dictionary(grouping: wanted, by: \.queue)
        where waits[queue] != nil || waits.count < LeaseWaits.mostWaits {
            wait(queue).want(Set(places))
        }
    }

    private func wait(_ queue: QueueName?) -> MarkerWait {
        if let wait = waits[queue] { return wait }
        let interrupt = (queue.map { keys.base($0) + "interrupt:" } ?? keys.workers + "wake:") + RandomID.hex(bytes: 8)
        let wait = MarkerWait(
            context: context, serving: queue.map(keys.base), interrupt: interrupt,
            places: { [unowned self] in
                wanted.filter { queue == nil || $0.queue == queue }.map { ($0, marker($0)) }
            },
            heard: { [unowned self] place in hear(place) })
        waits[queue] = wait
        return wait
    }

    private func marker(_ place: Place) -> String { keys.base(place.queue) + "wake:" + place.type }

    private func hear(_ place: Place) {
        ears += 1
        quiet.remove(place)
        if let i = polls.firstIndex(where: { $0.wants(place) }) { return polls.remove(at: i).end(.work(place)) }
        // Nobody is here any more. Somebody elsewhere may be.
        lingering[place] = nil
        let key = marker(place)
        context.loop.spawn { [context] in
            _ = try? await context.redis.send(["LPUSH", key, "1"], key: key, budgetUs: 1_000_000)
        }
    }
}

/// One wait for markers after the other, on a connection of its own, while there is something to wait for.
private final class MarkerWait {
    typealias Place = LeaseWaits.Place

    private let connection: ExclusiveConnection
    private let context: ServiceContext
    /// A marker of this wait alone, which ends it so that the next one knows of other places.
    private let interrupt: String
    private let places: () -> [(place: Place, marker: String)]
    private let heard: (Place) -> Void
    private var waitedFor: Set<Place> = []
    private var isRunning = false
    private var isInterrupted = false
    private var isStopped = false

    /// What was missed heals after this.
    private static let lengthS = 5

    init(
        context: ServiceContext, serving key: String?, interrupt: String,
        places: @escaping () -> [(place: Place, marker: String)], heard: @escaping (Place) -> Void
    ) {
        self.context = context
        self.interrupt = interrupt
        self.places = places
        self.heard = heard
        connection = ExclusiveConnection(of: context.redis, serving: key, scripts: [])
        connection.start()
    }

    func stop() {
        isStopped = true
        connection.close()
    }

    /// Begins to wait, or has a wait that goes on end when it does not know all of `places`.
    func want(_ places: Set<Place>) {
        guard isRunning else {
            isRunning = true
            return context.loop.spawn { [self] in await run() }
        }
        guard !waitedFor.isEmpty, !isInterrupted, !places.isSubset(of: waitedFor) else { return }
        isInterrupted = true
        context.loop.spawn { [context, interrupt] in
            _ = try? await context.redis.send(["LPUSH", interrupt, "1"], key: interrupt, budgetUs: 1_000_000)
            _ = try? await context.redis.send(["PEXPIRE", interrupt, "60000"], key: interrupt, budgetUs: 1_000_000)
        }
    }

    private func run() async {
        defer { isRunning = false }
        while !isStopped {
            let places = places()
            if places.isEmpty { return }
            guard connection.isReady else {
                await context.loop.sleep(us: 5000)
                continue
            }
            waitedFor = Set(places.map(\.place))
            let words = ["BLPOP", interrupt] + places.map(\.marker) + [String(MarkerWait.lengthS)]
            let reply = try? await connection.send(words, budgetUs: Int64(MarkerWait.lengthS + 3) * 1_000_000)
            waitedFor = []
            isInterrupted = false
            guard let reply else {
                await context.loop.sleep(us: 100_000)
                continue
            }
            if let key = reply.strings?.first, let place = places.first(where: { $0.marker == key }) {
                heard(place.place)
            }
        }
    }
}

import EventLoops
import Redis
import Services
import Synchronization

/// Keeps every loop's rules up to date: the first loop hears of changes (and asks twice a second, since a publish may be
/// lost), reads the rules once and hands the snapshot to all loops.
final class RuleFeed {
    static let snapshots = Broadcasts.Topic<RuleSet>("ratelimit.rules")
    static let drops = Broadcasts.Topic<[[UInt8]]>("ratelimit.drop")
    static let requests = Broadcasts.Topic<Int>("ratelimit.reload")
    private static let pollUs: Int64 = 500_000

    private let store: RuleStore
    private let context: ServiceContext
    private let subscriber: RedisSubscriber
    private var revision = -1
    private var isReading = false
    private var mustReadAgain = false
    private var isStopped = false

    /// Made on the first loop only.
    init(store: RuleStore) {
        self.store = store
        context = store.context
        subscriber = RedisSubscriber(of: context.redis)
    }

    /// Reads the rules, then begins to listen and to ask.
    func start() async throws {
        subscriber.subscribe(store.keys.channel) { [weak self] _ in self?.readSoon() }
        subscriber.subscribe(store.keys.dropChannel) { [context] message in
            let keys = message.array.split(separator: UInt8(ascii: "\n")).map { Array($0) }
            context.process.broadcasts.send(keys, to: RuleFeed.drops)
        }
        subscriber.onResubscribed = { [weak self] in self?.readSoon() }
        context.process.broadcasts.subscribe(RuleFeed.requests) { [weak self] revision in
            if let self, revision > self.revision { readSoon() }
        }
        subscriber.start()
        publish(try await store.read(budgetUs: 5_000_000))
        context.loop.spawn { [self] in await poll() }
    }

    func stop() {
        isStopped = true
        subscriber.close()
    }

    private func poll() async {
        while !isStopped {
            await context.loop.sleep(us: RuleFeed.pollUs)
            let reply = try? await context.redis.send(
                ["GET", store.keys.revision], key: store.keys.revision, budgetUs: 250_000)
            guard let reply else { continue }
            if (reply.string.flatMap { Int($0) } ?? 0) != revision { readSoon() }
        }
    }

    /// Reads the rules; news that arrive meanwhile lead to one more reading.
    private func readSoon() {
        if isReading {
            mustReadAgain = true
            return
        }
        isReading = true
        context.loop.spawn { [self] in
            repeat {
                mustReadAgain = false
                if let rules = try? await store.read() { publish(rules) }
            } while mustReadAgain
            isReading = false
        }
    }

    private func publish(_ rules: RuleSet) {
        guard rules.revision != revision else { return }
        revision = rules.revision
        context.process.broadcasts.send(rules, to: RuleFeed.snapshots)
    }
}

/// Which revision each loop of the process decides by, so that a change can be answered once it binds on all of them.
final class BoundRevisions: Sendable {
    private let byLoop = Mutex<[Int: Int]>([:])

    func bound(_ revision: Int, loop: Int) { byLoop.withLock { $0[loop] = revision } }

    /// The oldest revision that any loop decides by.
    var oldest: Int { byLoop.withLock { $0.values.min() ?? 0 } }
}

import EventLoops
import Redis
import Services
import Synchronization

/// Keeps every loop's rules up to date: the first loop hears of changes (and asks twice a second, since a publish may be
/// lost), reads what changed once and hands the snapshot to all loops.
final class RuleFeed {
    static let snapshots = Broadcasts.Topic<RuleSet>("ratelimit.rules")
    static let drops = Broadcasts.Topic<[[UInt8]]>("ratelimit.drop")
    static let requests = Broadcasts.Topic<Int>("ratelimit.reload")
    private static let pollUs: Int64 = 500_000
    /// After how long no loop decides by a snapshot any more that was replaced.
    private static let retiredUs: Int64 = 5_000_000

    private let store: RuleStore
    private let context: ServiceContext
    private let subscriber: RedisSubscriber
    private let loss: RuleLoss
    private var published: RuleSet?
    private var isReading = false
    private var mustReadAgain = false
    private var isStopped = false

    /// Made on the first loop only.
    /// - Parameter file: the rule file that was loaded at start.
    init(store: RuleStore, file: RuleFile?) {
        self.store = store
        context = store.context
        subscriber = RedisSubscriber(of: context.redis)
        loss = RuleLoss(store: store, file: file)
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
            if let self, revision > published?.revision ?? -1 { readSoon() }
        }
        subscriber.start()
        publish(try await store.read(budgetUs: 5_000_000))
        context.loop.spawn { [self] in await poll() }
    }

    func stop() {
        isStopped = true
        subscriber.close()
    }

    /// Has the rates of tokens that the library has now bind on every loop, whether Redis is there or not.
    func tokensChanged() {
        context.loop.spawn { [self] in
            await store.compileAgain()
            if let rules = store.library.rules { publish(rules) }
        }
    }

    private func poll() async {
        while !isStopped {
            await context.loop.sleep(us: RuleFeed.pollUs)
            let revision = try? await context.redis.send(
                ["GET", store.keys.revision], key: store.keys.revision, budgetUs: 250_000)
            let count = try? await context.redis.send(
                ["HLEN", store.keys.rules], key: store.keys.rules, budgetUs: 250_000)
            guard let revision, let count = count?.int, let published else { continue }
            if (revision.int ?? 0) != published.revision || count != published.stored.count { readSoon() }
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
                do {
                    publish(try await loss.finish(try await store.readUnlessLost()))
                } catch let lost as RulesLost {
                    if let rules = await loss.mend(lost) { publish(rules) }
                } catch {
                    // Redis is away; polling goes on.
                }
            } while mustReadAgain
            isReading = false
        }
    }

    private func publish(_ rules: RuleSet) {
        guard rules !== published else { return }
        if let old = published { retire(old) }
        published = rules
        context.process.broadcasts.send(rules, to: RuleFeed.snapshots)
    }

    /// Lets go of a snapshot on a thread of the pool: freeing thousands of rules takes long.
    private func retire(_ rules: RuleSet) {
        let retired = RetiredRules(rules)
        context.loop.spawn { [context] in
            await context.loop.sleep(us: RuleFeed.retiredUs)
            await BlockingPool.computing.run { retired.free() }
        }
    }
}

/// The last one to hold a snapshot that was replaced.
private final class RetiredRules: Sendable {
    private let rules: Mutex<RuleSet?>

    init(_ rules: RuleSet) { self.rules = Mutex(rules) }

    func free() { rules.withLock { $0 = nil } }
}

/// Which revision each loop of the process decides by, so that a change can be answered once it binds on all of them.
final class BoundRevisions: Sendable {
    private let byLoop = Mutex<[Int: Int]>([:])

    func bound(_ revision: Int, loop: Int) { byLoop.withLock { $0[loop] = revision } }

    /// The oldest revision that any loop decides by.
    var oldest: Int { byLoop.withLock { $0.values.min() ?? 0 } }
}

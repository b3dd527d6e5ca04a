import EventLoops
import JSON
import Redis
import Services
import Telemetry
import TestSupport
import Testing

@testable import RateLimiting

/// How a process comes to know of rules: off its loops, and only of what has changed.
@Suite struct RuleReadingTests {
    /// Rules of one process on a loop of their own.
    private typealias Trial = OnLoop<RuleStore>

    private static func trial(prefix: String, library: RuleLibrary = RuleLibrary()) async throws -> Trial {
        let configuration = try RedisConfiguration(url: try RedisServer.shared.url)
        let process = ProcessContext(
            replicaID: "trial", prefix: prefix, redis: configuration, log: Logger(level: .error, format: .text),
            tokens: .none, proxies: TrustedProxies(blocks: [], isLoopbackOnly: true), settings: [:], loopCount: 1,
            configuredReplicas: 1)
        let trial = await Trial { loop in
            let client = RedisClient(loop: loop, configuration: configuration, scripts: RateLimitScripts.all)
            client.start()
            return RuleStore(
                context: ServiceContext(loop: loop, redis: client, metrics: MetricRegistry(), process: process),
                library: library)
        }
        guard try await trial.run({ await $0.context.redis.whenReady(timeoutUs: longestWaitUs) }) else {
            throw SetUpFailure("no connection")
        }
        return trial
    }

    private static func put(_ rules: [Rule], _ trial: Trial) async throws {
        try await trial.run { store in _ = try await store.change { _ in .init(rules.map { .put($0) }, ()) } }
    }

    private static func rules(_ range: Range<Int>) throws -> [Rule] {
        try range.map { try Samples.rule("r\($0)", #""match":{"identifier":"user:u\#($0)","endpoint":"/a/\#($0)/*"}"#) }
    }

    /// The loop goes on while many rules are read and compiled: most of that time it is free for others.
    @Test func theLoopGoesOnMeanwhile() async throws {
        let prefix = try RedisServer.shared.prefix()
        let trial = try await RuleReadingTests.trial(prefix: prefix)
        let names = (0..<200).map { "\"user:u\($0)\"" }.joined(separator: ",")
        let rules = try (0..<100).map { try Samples.rule("r\($0)", "\"match\":{\"identifier\":[\(names)]}") }
        try await RuleReadingTests.put(rules, trial)
        let other = try await RuleReadingTests.trial(prefix: prefix)
        let (longestUs, totalUs, count) = try await other.run { store in
            let loop = store.context.loop
            let startUs = MonotonicClock.nowUs()
            var (longestUs, lastUs) = (Int64(0), startUs)
            let timer = LoopTimer(loop: loop) {
                longestUs = max(longestUs, MonotonicClock.nowUs() - lastUs)
                lastUs = MonotonicClock.nowUs()
            }
            timer.start(everyUs: 1000)
            let rules = try await store.read(budgetUs: longestWaitUs)
            longestUs = max(longestUs, MonotonicClock.nowUs() - lastUs)
            timer.cancel()
            return (longestUs, MonotonicClock.nowUs() - startUs, rules.rules.count)
        }
        #expect(count == 100)
        // Read on the loop, nearly all of it would be one tick.
        #expect(longestUs < totalUs / 2, "\(longestUs) of \(totalUs) µs")
    }

    @Test func whatIsTheSameIsNotMadeAgain() async throws {
        let prefix = try RedisServer.shared.prefix()
        let library = RuleLibrary()
        let trial = try await RuleReadingTests.trial(prefix: prefix, library: library)
        let neighbour = try await RuleReadingTests.trial(prefix: prefix, library: library)
        try await RuleReadingTests.put(try RuleReadingTests.rules(0..<50), trial)
        let first = try await trial.run { try await $0.read() }
        #expect(first.rules.count == 50)
        #expect(try await neighbour.run { try await $0.read() } === first, "one snapshot serves all loops")
        try await RuleReadingTests.put([try Samples.rule("r7")], neighbour)
        let second = try await trial.run { try await $0.read() }
        #expect(second.revision == 2 && second !== first)
        for id in (0..<50).map({ "r\($0)" }) {
            let (old, new) = (try #require(first.compiledRule(id: id)), try #require(second.compiledRule(id: id)))
            #expect((old === new) == (id != "r7" && old.index == new.index), "\(id)")
        }
        // Read as a whole, since the stream does not tell of it.
        let rest = try RuleReadingTests.rules(50..<1050)
        try await RuleReadingTests.put(rest, neighbour)
        let third = try await trial.run { try await $0.read() }
        #expect(third.rules.count == 1050)
        #expect(third.rule(id: "r3") == first.rule(id: "r3") && third.rule(id: "r7") == second.rule(id: "r7"))
        #expect(third.storedBytes == third.rules.reduce(0) { $0 + $1.stored.text().utf8.count })
    }

    /// What cannot be read, or calls itself otherwise, is left out; the others bind.
    @Test func aRuleThatCannotBeRead() async throws {
        let redis = try RedisServer.shared
        let prefix = redis.prefix()
        let trial = try await RuleReadingTests.trial(prefix: prefix)
        try await RuleReadingTests.put(try RuleReadingTests.rules(0..<3), trial)
        let key = prefix + "ratelimit:{rules}:rules"
        try redis.redis("HSET", key, "broken", "{")
        try redis.redis("HSET", key, "twin", try redis.redis("HGET", key, "r1"))
        let rules = try await trial.run { try await $0.read() }
        #expect(rules.rules.map(\.id).sorted() == ["r0", "r1", "r2"] && rules.stored.count == 5)
        #expect(try await trial.run { try await $0.read() } === rules)
    }

    /// Names that say nothing in plain letters get ids one after the other, however many there are.
    @Test func idsOfNamesWithoutPlainLetters() throws {
        let drafts = try (0..<2000).map { i in
            let signs = [("規", i % 20), ("則", i / 20 % 10), ("一", i / 200)]
            let name = "名" + signs.map { String(repeating: $0, count: $1) }.joined()
            return try Samples.draft("{\"name\":\"\(name)\",\"action\":\"deny\"}")
        }
        let changes = try RuleChanges.apply(drafts, to: .empty, prunes: false)
        let ids = changes.compactMap { change -> String? in if case .put(let rule) = change { rule.id } else { nil } }
        #expect(Set(ids).count == 2000)
        #expect(ids.allSatisfy { $0 == "rule" || $0.hasPrefix("rule-") })
    }
}

import Bytes
import Redis
import Testing

@testable import RateLimiting

/// Gathered calls must answer as if every request had been served alone, in order of arrival.
struct OpenBatchesTests {
    private final class Owner: CheckBatchOwner {
        func completed(_ batch: CheckBatch, _ result: Result<ReplyView, RedisError>) {}
    }

    private struct Arrival {
        let number: Int
        let policies: PolicySet
        let isPeek: Bool
        let keys: [String]
    }

    /// Gathers requests of one tick, numbered by their cost.
    private final class Gathering {
        private let owner = Owner()
        private let texts = RequestTexts()
        private let keys = RequestKeys()
        private var open: OpenBatches
        private let isCluster: Bool
        private(set) var arrivals: [Arrival] = []

        init(isCluster: Bool = false) {
            self.isCluster = isCluster
            open = OpenBatches(isCluster: isCluster)
        }

        @discardableResult
        func add(_ policies: PolicySet, user: String, endpoint: String = "", isPeek: Bool = false) -> CheckBatch {
            keys.build(policies, texts.request(user: user, endpoint: endpoint), KeyBuilder(prefix: ""))
            let number = arrivals.count
            let texts = (0..<keys.count).map { keys.key($0).string }
            arrivals.append(Arrival(number: number, policies: policies, isPeek: isPeek, keys: texts))
            let slot = isCluster ? RedisSlot.of(keys.key(0)) : 0
            let (batch, request) = open.place(policies, isPeek: isPeek, keys: keys, cost: number, slot: slot) {
                CheckBatch(owner: owner, policies: policies, isPeek: isPeek, epoch: 0, leasePrefix: nil, slot: slot)
            }
            #expect(batch.slot == slot)
            batch.setReceiver({ _, _ in }, ofRequest: request)
            return batch
        }

        /// The arrivals in the order in which the calls serve them; each is checked to be whole.
        func served() -> [Arrival] {
            var served: [Arrival] = []
            for batch in open.takeAll() {
                #expect(batch.requestCount <= batch.policies.mostRequestsPerCall)
                batch.forEachRequest { subject, request in
                    let arrival = arrivals[request.cost]
                    #expect(arrival.policies === batch.policies && arrival.isPeek == batch.isPeek)
                    #expect(request.receive != nil)
                    for i in arrival.keys.indices {
                        #expect(batch.key(ofSubject: subject, rule: i).string == arrival.keys[i])
                    }
                    served.append(arrival)
                }
                var costs: [Int] = []
                var counts: [Int] = []
                batch.forEachCost(count: { counts.append($0) }, cost: { costs.append($0) })
                #expect(costs == served.suffix(batch.requestCount).map(\.number))
                #expect(counts.reduce(0, +) == batch.requestCount && counts.count == batch.subjectCount)
                var ordinal = 0
                batch.forEachRequest { subject, _ in
                    #expect(batch.subject(ofOrdinal: ordinal) == subject)
                    ordinal += 1
                }
            }
            #expect(open.isEmpty)
            defer { arrivals.removeAll() }
            return served
        }
    }

    private let one = Samples.policies([try! Samples.rule("a")])
    private let two = Samples.policies([try! Samples.rule("a"), try! Samples.rule("g", #""per":["global"]"#)])

    @Test func checksOfOneTickShareACall() {
        let gathering = Gathering()
        let first = gathering.add(one, user: "ann")
        #expect(gathering.add(one, user: "ben") === first)
        #expect(gathering.add(one, user: "ann") === first)
        #expect(first.subjectCount == 2 && first.requestCount == 3)
        #expect(gathering.add(one, user: "cid", isPeek: true) !== first)
        #expect(gathering.add(two, user: "cid") !== first)
        #expect(gathering.served().map(\.number) == [0, 2, 1, 3, 4])
    }

    @Test func aCallIsNotJoinedPastALaterOneOfTheSameKey() {
        let gathering = Gathering()
        let first = gathering.add(one, user: "ann")
        let second = gathering.add(two, user: "ann")
        #expect(second !== first)
        let third = gathering.add(one, user: "ann")
        #expect(third !== first && third !== second)
        #expect(gathering.add(one, user: "dan") === third)
        #expect(gathering.served().map(\.number) == [0, 1, 2, 3])
    }

    @Test func aSubjectIsNotJoinedPastAnotherOfTheSameKey() {
        let gathering = Gathering()
        let batch = gathering.add(two, user: "ann")
        gathering.add(two, user: "ben")
        gathering.add(two, user: "ann")
        #expect(batch.subjectCount == 3, "ben came between at the global key")
        gathering.add(two, user: "ann")
        #expect(batch.subjectCount == 3 && batch.requestCount == 4)
        #expect(gathering.served().map(\.number) == [0, 1, 2, 3])
    }

    @Test func aCallTakesAHundredDecisions() {
        let gathering = Gathering()
        let batches = (0..<250).map { gathering.add(one, user: "u\($0)") }
        #expect(Set(batches.map { ObjectIdentifier($0) }).count == 3)
        let pairs = (0..<60).map { _ in gathering.add(two, user: "x") }
        #expect(Set(pairs.map { ObjectIdentifier($0) }).count == 2)
        #expect(gathering.served().count == 310)
    }

    @Test func aRequestUnderHundredsOfRulesIsPlaced() throws {
        let many = Samples.policies(try (0..<600).map { try Samples.rule("r\($0)") })
        let gathering = Gathering()
        for user in ["ann", "ben", "ann"] { gathering.add(many, user: user) }
        #expect(gathering.served().map(\.number) == [0, 1, 2])
        #expect(gathering.served().isEmpty)
    }

    @Test func onAClusterACallIsOfOneSlot() {
        let gathering = Gathering(isCluster: true)
        let ann = gathering.add(one, user: "ann")
        let ben = gathering.add(one, user: "ben")
        #expect(ann !== ben && ann.slot != ben.slot)
        #expect(gathering.add(one, user: "ann") === ann && gathering.add(one, user: "ben") === ben)
        // Two users of one slot: there are more names than slots.
        let names = (0..<17_000).map { "u\($0)" }
        let bySlot = Dictionary(grouping: names) { RedisSlot.of("ratelimit:{user:\($0)}:a:1") }
        let pair = bySlot.values.first { $0.count > 1 }!
        #expect(gathering.add(one, user: pair[0]) === gathering.add(one, user: pair[1]))
        #expect(gathering.served().count == 6)
        #expect(gathering.add(one, user: "ann") !== ann, "calls of another tick")
        #expect(gathering.served().count == 1)
    }

    /// Random requests under overlapping rule sets: at every key the calls keep the order of arrival, and so buckets that
    /// are taken from by the calls give the answers that they give one by one.
    @Test(arguments: Array(1...40) as [UInt64])
    func answersAreThoseOfServiceOneByOne(_ seed: UInt64) throws {
        var random = SplitMix64(seed)
        let rules = try ["a", "b", "g", "e"].map { name in
            let parts = ["g": #""per":["global"]"#, "e": #""per":["endpoint"]"#][name] ?? ""
            return try Samples.rule(name, parts)
        }
        let compiled = Samples.set(rules).compiled
        // On a cluster the rules of a call count by the same.
        let isCluster = seed.isMultiple(of: 2)
        let combinations =
            isCluster ? [[0], [1], [2], [3], [0, 1]] : [[0], [1], [2], [3], [0, 1], [0, 2], [1, 3], [0, 1, 2, 3]]
        let sets = combinations.map { indices in
            PolicySet(rules: indices.map { compiled[$0] }, enforcingCount: indices.count)
        }
        let gathering = Gathering(isCluster: isCluster)
        let users = random.element([2, 10, 400])
        for _ in 0..<5 {
            var arrivals: [Arrival] = []
            for _ in 0..<random.below(800) {
                gathering.add(
                    random.element(sets), user: "u\(random.below(users))", endpoint: "/\(random.below(users))",
                    isPeek: random.below(8) == 0)
            }
            arrivals = gathering.arrivals
            let served = gathering.served()
            let isWhole = served.map(\.number).sorted() == Array(arrivals.indices)
            let keepsOrder = orderByKey(served) == orderByKey(arrivals)
            let answersSame = answers(served) == answers(arrivals)
            guard isWhole, keepsOrder, answersSame else {
                Issue.record("seed \(seed): whole \(isWhole), in order \(keepsOrder), same answers \(answersSame)")
                return
            }
        }
    }

    private func orderByKey(_ arrivals: [Arrival]) -> [String: [Int]] {
        var order: [String: [Int]] = [:]
        for arrival in arrivals { for key in arrival.keys { order[key, default: []].append(arrival.number) } }
        return order
    }

    /// Each key holds five; a request takes one of each of its keys, or nothing.
    private func answers(_ arrivals: [Arrival]) -> [Int: Bool] {
        var used: [String: Int] = [:]
        var answers: [Int: Bool] = [:]
        for arrival in arrivals {
            let isAllowed = arrival.keys.allSatisfy { used[$0, default: 0] < 5 }
            answers[arrival.number] = isAllowed
            if isAllowed, !arrival.isPeek { for key in arrival.keys { used[key, default: 0] += 1 } }
        }
        return answers
    }
}

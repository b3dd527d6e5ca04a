import Bytes
import EventLoops
import Redis

/// One loop's waits for replicas and files. Whatever asks in a tick, or while a wait is out, waits together: one wait per
/// server and kind at a time, on a connection of its own, since it blocks that.
final class DurabilityWaits: EndOfTick {
    enum Kind: Hashable {
        case replicated, fsync
        /// The server answers only what it has on disk.
        case answered
    }

    /// The worst last.
    enum Outcome: Comparable { case safe, late, otherMaster }

    struct Ask {
        var effect: DurableEffect
        /// The master's reign before the effect was written.
        var reign: String
        var kind: Kind
    }

    private struct Group: Hashable {
        var node: Int
        var kind: Kind
    }

    private struct Waiting {
        var ask: Ask
        var untilUs: Int64
        var finish: (Outcome) -> Void
    }

    private let loop: EventLoop
    private let redis: RedisClient
    /// How many replicas must have it.
    private let replicas: Int
    private var waiting: [Group: [Waiting]] = [:]
    private var out: Set<Group> = []
    private var isAsked = false
    /// What servers said of themselves, by what they said when the connection to them was made, and when (µs).
    private var known: [String: (facts: ServerFacts, atUs: Int64)] = [:]

    private static let budgetUs: Int64 = 3_000_000
    private static let waitMs = 1000
    /// Each is up to three commands of one write.
    private static let mostTogether = 500
    private static let knownUs: Int64 = 1_000_000

    init(loop: EventLoop, redis: RedisClient, replicas: Int) {
        self.loop = loop
        self.redis = redis
        self.replicas = replicas
    }

    // MARK: Who is the master

    /// What the server of a slot says of itself, by the connection that effects are written on, at most a second ago.
    /// An older word is as good: it can only make a wait fail that need not, never the other way round.
    func facts(marker: String) async throws(RedisError) -> ServerFacts {
        let name = marker.withByteView { redis.reign(of: $0) }
        if !name.isEmpty, let (facts, atUs) = known[name], loop.nowUs - atUs < DurabilityWaits.knownUs { return facts }
        let atUs = loop.nowUs
        let reply = try await redis.send(ServerFacts.command, key: marker, budgetUs: 2_000_000)
        let facts = ServerFacts(reply.string ?? "")
        if known.count >= 64 { known = [:] }
        known[name] = (facts, atUs)
        return facts
    }

    // MARK: Waiting

    /// The worst of what becomes of `asks`.
    func wait(_ asks: [Ask]) async -> Outcome {
        let untilUs = loop.nowUs + DurabilityWaits.budgetUs
        return await suspend { resume in
            var missing = asks.count
            var worst = Outcome.safe
            for ask in asks {
                add(
                    Waiting(ask: ask, untilUs: untilUs) { outcome in
                        missing -= 1
                        worst = max(worst, outcome)
                        if missing == 0 { resume(worst) }
                    })
            }
            guard !isAsked else { return }
            isAsked = true
            loop.atEndOfTick(.gather, self)
        }
    }

    private func add(_ item: Waiting) {
        let node = item.ask.effect.marker.withByteView { redis.node(of: $0) }
        waiting[Group(node: node, kind: item.ask.kind), default: []].append(item)
    }

    func endOfTick() {
        isAsked = false
        for group in waiting.keys where out.insert(group).inserted {
            loop.spawn { [self] in
                while let items = take(group) { await wait(items, group.kind) }
                out.remove(group)
            }
        }
    }

    private func take(_ group: Group) -> [Waiting]? {
        guard let items = waiting.removeValue(forKey: group) else { return nil }
        if items.count > DurabilityWaits.mostTogether {
            waiting[group] = Array(items[DurabilityWaits.mostTogether...])
        }
        return Array(items.prefix(DurabilityWaits.mostTogether))
    }

    /// One wait for all of `items`, whose slots one server has, as far as we know.
    private func wait(_ items: [Waiting], _ kind: Kind) async {
        do {
            let wait = try await waitAtServer(items, kind)
            for (item, sight) in zip(items, wait.sights) {
                let outcome: Outcome
                // The same server, master under the same name before the effect and after the wait, was it all the time.
                let isSame = wait.facts.isMaster && !wait.facts.reign.isEmpty && wait.facts.reign == item.ask.reign
                switch sight {
                case .elsewhere where item.untilUs > loop.nowUs:
                    add(item)
                    continue
                case .elsewhere, .unknown: outcome = .late
                case .missing: outcome = .otherMaster
                case .seen: outcome = !isSame ? .otherMaster : wait.count < needed(kind) ? .late : .safe
                }
                if outcome != .safe { known = [:] }
                item.finish(outcome)
            }
        } catch {
            known = [:]
            // It may be the one slot's trouble: the others try for themselves while they have time.
            let marker = items[0].ask.effect.marker
            for item in items {
                let isOver = item.ask.effect.marker == marker || item.untilUs <= loop.nowUs
                if isOver { item.finish(.late) } else { add(item) }
            }
        }
        // Those that were added again.
        if !waiting.isEmpty { endOfTick() }
    }

    private func needed(_ kind: Kind) -> Int {
        switch kind {
        case .replicated: replicas
        case .fsync: 1
        case .answered: 0
        }
    }

    private func command(_ kind: Kind) -> [[String]] {
        switch kind {
        case .replicated: [["WAIT", String(replicas), String(DurabilityWaits.waitMs)]]
        case .fsync: [["WAITAOF", "1", "0", String(DurabilityWaits.waitMs)]]
        case .answered: []
        }
    }

    /// Whether a server has an effect.
    private enum Sight {
        case seen, missing
        /// The slot is at another server, or on the move.
        case elsewhere
        /// It refused to say.
        case unknown
    }

    private func waitAtServer(
        _ items: [Waiting], _ kind: Kind
    ) async throws -> (count: Int, facts: ServerFacts, sights: [Sight]) {
        let effects = items.map(\.ask.effect)
        // One marker per slot: another one's says nothing about where this slot is.
        var places: [String: Int] = [:]
        for effect in effects where places[effect.marker] == nil { places[effect.marker] = places.count }
        var guards = [[String]](repeating: [], count: places.count)
        var writes = guards
        for effect in effects {
            guards[places[effect.marker]!] = ["EXISTS", effect.marker, effect.never]
            writes[places[effect.marker]!] = ["SET", effect.marker, "1", "PX", "60000"]
        }
        let proofs = effects.compactMap(\.proof)
        let reads = guards + proofs.map { ["HGET", $0.key, $0.field] }
        // WAIT speaks of the connection's own writes, so it makes some behind those it is asked about. After it, a server
        // that has lost its mastership meanwhile tells so.
        let commands = reads + writes + command(kind) + [ServerFacts.command]
        let budgetUs = items[0].untilUs - loop.nowUs
        return try await redis.transaction(key: effects[0].marker, budgetUs: budgetUs) { connection in
            let results = await connection.sendAll(commands)
            let facts = ServerFacts(try results[results.count - 1].get().string ?? "")
            var proof = guards.count
            let sights = effects.map { effect in
                let place = places[effect.marker]!
                let read = effect.proof == nil ? nil : results[proof]
                if effect.proof != nil { proof += 1 }
                return DurabilityWaits.sight(
                    [results[place], results[reads.count + place]], read, besides: effect.proof?.besides ?? [])
            }
            // Nothing of it is here: where it is may be known a moment later.
            if sights.allSatisfy({ $0 == .elsewhere }), case .failure(let error)? = results.first(where: \.isElsewhere)
            {
                throw error
            }
            return (kind == .answered ? 0 : DurabilityWaits.count(results[results.count - 2]), facts, sights)
        }
    }

    private static func sight(
        _ calls: [Result<RedisReply, RedisError>], _ proof: Result<RedisReply, RedisError>?, besides: Set<String>
    ) -> Sight {
        let all = calls + (proof.map { [$0] } ?? [])
        if all.contains(where: \.isElsewhere) { return .elsewhere }
        guard let replies = try? all.map({ try $0.get() }) else { return .unknown }
        guard proof != nil else { return .seen }
        return replies.last?.string.map { besides.contains($0) ? .missing : .seen } ?? .missing
    }

    /// How many have it, by the reply of WAIT or WAITAOF.
    private static func count(_ reply: Result<RedisReply, RedisError>) -> Int {
        switch reply {
        case .success(.array(let elements)): elements.first?.int ?? 0
        case .success(let reply): reply.int ?? 0
        case .failure: 0
        }
    }
}

extension Result<RedisReply, RedisError> {
    fileprivate var isElsewhere: Bool { if case .failure(let error) = self { error.isElsewhere } else { false } }
}

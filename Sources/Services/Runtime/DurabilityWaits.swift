import Bytes
import EventLoops
import Redis

/// One loop's waits for replicas and files. Whatever asks in a tick, or while a wait is out, waits together: one wait per
/// server and kind at a time, on a connection of its own, since it blocks that.
final class DurabilityWaits: EndOfTick {
    enum Kind: Hashable { case replicated, fsync }

    enum Outcome { case safe, late, otherMaster }

    struct Ask {
        /// A key of the effect's slot.
        var marker: String
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

    func wait(_ ask: Ask) async -> Outcome {
        let untilUs = loop.nowUs + DurabilityWaits.budgetUs
        return await suspend { resume in
            add(Waiting(ask: ask, untilUs: untilUs, finish: resume))
            guard !isAsked else { return }
            isAsked = true
            loop.atEndOfTick(.gather, self)
        }
    }

    private func add(_ item: Waiting) {
        let node = item.ask.marker.withByteView { redis.node(of: $0) }
        waiting[Group(node: node, kind: item.ask.kind), default: []].append(item)
    }

    func endOfTick() {
        isAsked = false
        for group in waiting.keys where out.insert(group).inserted {
            loop.spawn { [self] in
                while let items = waiting.removeValue(forKey: group) { await wait(items, group.kind) }
                out.remove(group)
            }
        }
    }

    /// One wait for all of `items`, whose slots one server has.
    private func wait(_ items: [Waiting], _ kind: Kind) async {
        do {
            let (count, facts) = try await waitAtServer(items[0].ask.marker, kind, untilUs: items[0].untilUs)
            for item in items {
                // The same server, master under the same name before the effect and after the wait, was it all the time.
                let isSame = facts.isMaster && !facts.reign.isEmpty && facts.reign == item.ask.reign
                if !isSame || count < needed(kind) { known = [:] }
                item.finish(!isSame ? .otherMaster : count < needed(kind) ? .late : .safe)
            }
        } catch {
            known = [:]
            // It may be the one slot's trouble: the others try for themselves while they have time.
            let marker = items[0].ask.marker
            for item in items {
                if item.ask.marker == marker || item.untilUs <= loop.nowUs { item.finish(.late) } else { add(item) }
            }
            endOfTick()
        }
    }

    private func needed(_ kind: Kind) -> Int { kind == .fsync ? 1 : replicas }

    private func waitAtServer(_ marker: String, _ kind: Kind, untilUs: Int64) async throws -> (Int, ServerFacts) {
        let wait =
            kind == .fsync
            ? ["WAITAOF", "1", "0", String(DurabilityWaits.waitMs)]
            : ["WAIT", String(replicas), String(DurabilityWaits.waitMs)]
        return try await redis.transaction(key: marker, budgetUs: untilUs - loop.nowUs) { connection in
            // WAIT speaks of the connection's own writes, so it makes one behind those it is asked about.
            _ = try await connection.send(["SET", marker, "1", "PX", "60000"])
            let reply = try await connection.send(wait)
            // After the wait: a server that has lost its mastership meanwhile tells so.
            let facts = ServerFacts(try await connection.send(ServerFacts.command).string ?? "")
            let count = if case .array(let elements) = reply { elements.first?.int } else { reply.int }
            return (count ?? 0, facts)
        }
    }
}

/// What a Redis says of itself, as far as promises hang on it.
struct ServerFacts: Sendable {
    static let command = ["INFO", "server", "replication", "persistence"]

    let version: String
    /// Names the time during which this server is a master: another one, or the same one again, has another name. Empty
    /// when it does not say.
    let reign: String
    let isMaster: Bool
    let appendsToFile: Bool
    private let canWriteFile: Bool

    init(_ info: String) {
        var values: [Substring: Substring] = [:]
        for line in info.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        version = String(values["redis_version"] ?? "")
        if let run = values["run_id"], let replication = values["master_replid"] {
            reign = "\(run)/\(replication)"
        } else {
            reign = ""
        }
        isMaster = values["role"] == "master"
        appendsToFile = values["aof_enabled"] == "1"
        canWriteFile = values["aof_last_write_status"] == "ok"
    }

    /// WAITAOF came with 7.2.
    var hasWaitForFile: Bool {
        let parts = version.split(separator: ".").map { Int($0) ?? 0 }
        return parts.count >= 2 && (parts[0] > 7 || parts[0] == 7 && parts[1] >= 2)
    }

    var canWaitForFile: Bool { hasWaitForFile && appendsToFile && canWriteFile }
}

import Bytes
import EventLoops
import JSON
import Redis
import Services

/// Bulks in Redis: their rows in chunks, how far they are, what they changed, so that any process can go on.
final class BulkStore {
    /// What a step makes of a bulk.
    struct Step: Sendable {
        var from: BulkState.Status
        /// nil: any.
        var fromPlace: Int?
        var to: BulkState.Status
        var place: Int
        /// What the rows of a chunk changed; nil for one that was not done.
        var changes: (chunk: Int, [Int?])?
        var successful = 0
        var failed = 0
        /// Whether the counts are of rows that were undone.
        var undoes = false
        var errors = RowErrors()
    }

    let context: ServiceContext
    let keys: StockKeys
    private static let budgetUs: Int64 = 5_000_000
    private static let chunksAtOnce = 8
    /// For how long rows wait for their bulk, should their writer die.
    private static let looseMs = 3_600_000
    /// How long a process may be silent before another one goes on.
    private static let leaseMs = 10_000

    init(context: ServiceContext, keys: StockKeys) {
        self.context = context
        self.keys = keys
    }

    // MARK: Making

    /// Writes a bulk down, once; a repeated one finds it as it is.
    /// - Parameters:
    ///   - request: what it was asked for, whose parts are let go as they are written.
    ///   - changes: of each row, where it has been done already.
    ///   - errors: of rows that are done already, beside those of the request.
    ///   - isTaken: whether the caller is at it from then on, as after `take`.
    /// - Returns: whether it was written now.
    @discardableResult
    func open(
        _ bulk: BulkState, _ request: consuming BulkRequest, changes: [Int?]? = nil, errors: RowErrors = RowErrors(),
        isTaken: Bool = false
    ) async throws -> Bool {
        var bulk = bulk
        bulk.chunks = request.chunks.count
        let told = (request.errors + errors).list.map { $0.json("index").text() }
        try await writeRows(bulk.id, request.chunks, changes)
        // Whoever finds it due before it is there forgets it; the second announcement brings it back.
        if isTaken {
            try await hold(bulk.id)
        } else if !bulk.status.isEnd {
            try await announce(bulk.id, inMs: 5000)
        }
        let reply = try await run(bulk.id, ["open", String(bulk.fields.count)] + bulk.fields + told)
        if !isTaken, !bulk.status.isEnd { try await announce(bulk.id, inMs: 0) }
        return reply == "done"
    }

    private func writeRows(_ id: String, _ chunks: consuming [[BulkRequest.Row]], _ changes: [Int?]?) async throws {
        let (rowsKey, changesKey) = (keys.bulkRows(id), keys.bulkChanges(id))
        var slices = WorkSlices(context.loop)
        var rest = changes.map { $0[...] }
        let count = chunks.count
        // A few parts of a large bulk leave together; all of them would be too much for one reply's time. Each is let go at
        // once: to free a hundred thousand rows takes long, too.
        for start in stride(from: 0, to: count, by: BulkStore.chunksAtOnce) {
            var rows = ["HSET", rowsKey]
            var done = ["HSET", changesKey]
            for number in start..<min(count, start + BulkStore.chunksAtOnce) {
                let chunk = chunks.removeFirst()
                let texts = JSONList()
                for row in chunk {
                    texts.append(BulkRow.json(row))
                    await slices.pauseIfLong()
                }
                rows += [String(number), texts.end().string]
                if let own = rest?.prefix(chunk.count) { done += [String(number), BulkStore.text(own)] }
                rest = rest?.dropFirst(chunk.count)
            }
            let commands = changes == nil ? [rows] : [rows, done]
            _ = try await together(commands, on: context.loop) { [self] in try await send($0, $0[1]) }
        }
        _ = try await together([rowsKey, changesKey], on: context.loop) { [self] key in
            try await send(["PEXPIRE", key, String(BulkStore.looseMs)], key)
        }
    }

    func announce(_ id: String, inMs ms: Int) async throws {
        let words = try await send(["TIME"], keys.bulkDue).strings ?? []
        guard words.count == 2, let seconds = Int(words[0]) else { throw RedisError.unexpectedReply("TIME") }
        _ = try await send(["ZADD", keys.bulkDue, "LT", String(seconds * 1000 + ms), id], keys.bulkDue)
    }

    // MARK: Reading

    func find(_ id: String) async throws -> BulkState? {
        BulkState(id: id, try await send(["HGETALL", keys.bulk(id)], keys.bulk(id)).strings ?? [])
    }

    /// The first errors, as they are shown.
    func errors(_ id: String) async throws -> [JSONValue] {
        let key = keys.bulkErrors(id)
        let texts = try await send(["LRANGE", key, "0", String(RowErrors.most - 1)], key).strings ?? []
        var slices = WorkSlices(context.loop)
        var errors: [JSONValue] = []
        for text in texts {
            errors.append(try text.withByteView { try JSONValue(parsing: $0) })
            await slices.pauseIfLong()
        }
        return errors
    }

    func rows(_ id: String, chunk: Int) async throws -> [BulkRow] {
        let key = keys.bulkRows(id)
        let reply = try await send(["HGET", key, String(chunk)], key)
        guard let text = reply.string, case .array(let rows) = try text.withByteView({ try JSONValue(parsing: $0) })
        else { throw RedisError.unexpectedReply("rows") }
        var slices = WorkSlices(context.loop)
        var read: [BulkRow] = []
        for row in rows {
            read.append(try BulkRow(row, bulk: id))
            await slices.pauseIfLong()
        }
        return read
    }

    /// What the rows of a chunk changed; nil for one that was not done, none at all for a chunk that was not.
    func changes(_ id: String, chunk: Int) async throws -> [Int?] {
        let key = keys.bulkChanges(id)
        let text = try await send(["HGET", key, String(chunk)], key).string ?? ""
        return text.split(separator: " ").map { Int($0) }
    }

    private static func text(_ changes: some Sequence<Int?>) -> String {
        changes.map { $0.map { String($0) } ?? "-" }.joined(separator: " ")
    }

    // MARK: Doing

    /// False when somebody else has taken it on meanwhile.
    func step(_ id: String, _ step: Step) async throws -> Bool {
        let counts =
            step.undoes
            ? ["undone", String(step.successful), "kept", String(step.failed)]
            : ["successful", String(step.successful), "failed", String(step.failed)]
        let arguments =
            [
                "step", step.from.rawValue, step.fromPlace.map { String($0) } ?? "", step.to.rawValue,
                String(step.place), step.changes.map { String($0.chunk) } ?? "",
                step.changes.map { BulkStore.text($0.1) } ?? "",
            ] + counts + step.errors.list.map { $0.json("index").text() }
        return try await run(id, arguments) == "done"
    }

    /// A bulk that nobody is at; it is the caller's for a while.
    func take() async throws -> String? {
        // Nearly always there is none at all, and then nobody asks for more.
        guard try await send(["EXISTS", keys.bulkDue, keys.bulkTaken], keys.bulkDue).int != 0 else { return nil }
        let reply = try await context.redis.run(
            InventoryScripts.due, keys: [keys.bulkDue, keys.bulkTaken, keys.guardOf(keys.bulkDue)],
            arguments: ["", String(BulkStore.leaseMs), "1"],
            budgetUs: BulkStore.budgetUs)
        return reply.strings?.first
    }

    func renew(_ id: String) async throws { try await hold(id, "XX") }

    /// - Parameter condition: of ZADD.
    private func hold(_ id: String, _ condition: String...) async throws {
        let words = try await send(["TIME"], keys.bulkTaken).strings ?? []
        guard words.count == 2, let seconds = Int(words[0]) else { throw RedisError.unexpectedReply("TIME") }
        let end = String(seconds * 1000 + BulkStore.leaseMs)
        _ = try await send(["ZADD", keys.bulkTaken] + condition + [end, id], keys.bulkTaken)
    }

    func release(_ id: String) async throws { _ = try await send(["ZREM", keys.bulkTaken, id], keys.bulkTaken) }

    private func run(_ id: String, _ arguments: [String]) async throws -> String? {
        try await context.redis.run(
            InventoryScripts.bulkStep,
            keys: [keys.bulk(id), keys.bulkRows(id), keys.bulkChanges(id), keys.bulkErrors(id)],
            arguments: [""] + arguments, budgetUs: BulkStore.budgetUs
        ).string
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await context.redis.send(words, key: key, budgetUs: BulkStore.budgetUs)
    }
}

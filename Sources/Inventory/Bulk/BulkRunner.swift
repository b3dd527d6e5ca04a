import EventLoops
import Services

/// Does bulks in the background. Every replica does; one at a time is at a bulk, and when it dies another one goes on with
/// the chunk it was at: a row that was done finds itself done.
final class BulkRunner {
    private let store: BulkStore
    private let adjuster: BulkAdjuster
    private var isStopped = false
    private static let pauseUs: Int64 = 500_000
    /// How long a request waits for its bulk.
    private static let mostWaitUs: Int64 = 10_000_000

    init(store: BulkStore, adjuster: BulkAdjuster) {
        self.store = store
        self.adjuster = adjuster
    }

    func start() {
        store.context.loop.spawn { [self] in
            while !isStopped {
                // Redis away: the next round finds the same.
                if let id = try? await store.take() {
                    try? await finish(id)
                } else {
                    await store.context.loop.sleep(us: BulkRunner.pauseUs)
                }
            }
        }
    }

    func stop() { isStopped = true }

    /// Goes on with a bulk to its end, or until this process is to stop.
    private func finish(_ id: String) async throws {
        while !isStopped {
            guard let bulk = try await store.find(id), !bulk.status.isEnd else { return try await store.release(id) }
            try await store.renew(id)
            if try await !goOn(bulk) { return }
        }
    }

    /// Does the next part of a bulk; false when somebody else has taken it on.
    private func goOn(_ bulk: BulkState) async throws -> Bool {
        switch bulk.status {
        case .checking: try await check(bulk)
        case .running: try await apply(bulk)
        case .compensating, .rollingBack: try await undo(bulk)
        case .completed, .failed, .rolledBack: false
        }
    }

    /// A bulk at its end, for a request that waits for it.
    /// - Parameter isTaken: whether this process is at it; else another one is, or comes to it.
    /// - Throws: `unavailable` when that takes too long; it then goes on in the background.
    func seeThrough(_ id: String, isTaken: Bool) async throws -> BulkState? {
        let deadlineUs = store.context.loop.nowUs + BulkRunner.mostWaitUs
        var isOurs = isTaken
        while store.context.loop.nowUs < deadlineUs {
            guard let bulk = try await store.find(id), !bulk.status.isEnd else {
                if isTaken { try await store.release(id) }
                return try await store.find(id)
            }
            if isOurs {
                try await store.renew(id)
                isOurs = try await goOn(bulk)
            } else {
                await store.context.loop.sleep(us: 20_000)
            }
        }
        throw Problem(
            .unavailable, "the store did not answer in time; the request may have taken effect", retryAfterS: 1)
    }

    // MARK: Applying

    /// What the rows' own call is.
    func call(_ bulk: BulkState) -> BulkAdjuster.Call {
        BulkAdjuster.Call(actor: bulk.actor, key: bulk.key, keptMs: BulkState.keptMs, isFinal: true)
    }

    private func apply(_ bulk: BulkState) async throws -> Bool {
        guard bulk.place < bulk.chunks else {
            return try await store.step(
                bulk.id, .init(from: .running, fromPlace: bulk.place, to: .completed, place: bulk.place))
        }
        let rows = try await store.rows(bulk.id, chunk: bulk.place)
        let outcomes = await adjuster.apply(rows, call(bulk))
        guard BulkRunner.areJudged(outcomes) else { return await pause() }
        let errors = BulkRunner.errors(rows, outcomes)
        let isRefused = bulk.isAtomic && !errors.isEmpty
        return try await store.step(
            bulk.id,
            .init(
                from: .running, fromPlace: bulk.place, to: isRefused ? .compensating : .running, place: bulk.place + 1,
                changes: (bulk.place, outcomes.map(BulkRunner.change)), successful: rows.count - errors.count,
                failed: errors.count, errors: errors))
    }

    /// Tries out what all rows of an atomic bulk would make of the stock as it is.
    private func check(_ bulk: BulkState) async throws -> Bool {
        let trial = BulkTrial(adjuster: adjuster)
        var errors = RowErrors()
        for chunk in 0..<bulk.chunks where !isStopped {
            errors = errors + (try await trial.judge(store.rows(bulk.id, chunk: chunk), call(bulk)))
            try await store.renew(bulk.id)
        }
        guard !isStopped else { return false }
        return try await store.step(
            bulk.id,
            .init(
                from: .checking, fromPlace: 0, to: errors.isEmpty ? .running : .failed, place: 0, failed: errors.count,
                errors: errors))
    }

    // MARK: Undoing

    private func undo(_ bulk: BulkState) async throws -> Bool {
        let end = bulk.status == .compensating ? BulkState.Status.failed : .rolledBack
        guard bulk.place > 0 else {
            return try await store.step(bulk.id, .init(from: bulk.status, fromPlace: 0, to: end, place: 0))
        }
        let chunk = bulk.place - 1
        let rows = try await store.rows(bulk.id, chunk: chunk)
        let changes = try await store.changes(bulk.id, chunk: chunk)
        // Backwards, so that what was between is never below what it was.
        let opposite = zip(rows, changes).reversed().compactMap { row, change -> BulkRow? in
            guard let change, change != 0 else { return nil }
            var row = row
            row.id = BulkRow.id(bulk: bulk.id, index: row.index, word: "rollback")
            row.adjustment.kind = change > 0 ? .subtract : .add
            row.adjustment.quantity = abs(change)
            row.adjustment.expected = nil
            row.adjustment.reason = "rollback of bulk \(bulk.id)"
            return row
        }
        var call = call(bulk)
        call.ledgerType = "rollback"
        call.asksWarehouses = false
        let outcomes = await adjuster.apply(opposite, call)
        guard BulkRunner.areJudged(outcomes) else { return await pause() }
        let errors = BulkRunner.errors(opposite, outcomes)
        return try await store.step(
            bulk.id,
            .init(
                from: bulk.status, fromPlace: bulk.place, to: bulk.status, place: chunk,
                successful: opposite.count - errors.count, failed: errors.count, undoes: true, errors: errors))
    }

    // MARK: What they share

    /// Whether every row has its answer; where the store was away, the chunk is done again.
    private static func areJudged(_ outcomes: [BulkAdjuster.Outcome]) -> Bool {
        !outcomes.contains { outcome in
            guard case .failed(let problem) = outcome else { return false }
            return problem.kind == .unavailable || problem.kind == .storeFull
        }
    }

    private func pause() async -> Bool {
        await store.context.loop.sleep(us: BulkRunner.pauseUs)
        return true
    }

    private static func errors(_ rows: [BulkRow], _ outcomes: [BulkAdjuster.Outcome]) -> RowErrors {
        var errors = RowErrors()
        for case (let row, .failed(let problem)) in zip(rows, outcomes) {
            errors.add(RowError(row.index, problem, row: row.adjustment.json))
        }
        return errors
    }

    static func change(_ outcome: BulkAdjuster.Outcome) -> Int? {
        guard case .done(let result, _, _) = outcome else { return nil }
        return result.levels.quantity - result.previous
    }
}

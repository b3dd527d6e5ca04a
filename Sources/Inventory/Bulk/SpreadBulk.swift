import JSON
import Services

/// An atomic bulk over SKUs in several slots, which no single step can do: it is a bulk like those in the background, of which
/// everything is checked before the first row is done, and what was done is undone by ledger entries if a row then can't be;
/// but its request sees it through. Should this process die, another one goes on.
struct SpreadBulk {
    enum Result {
        case done(id: String, rows: [BulkRow], outcomes: [BulkAdjuster.Outcome])
        /// Nothing of it is left; the errors as they are kept.
        case refused([JSONValue])
    }

    let adjuster: BulkAdjuster
    let store: BulkStore
    let runner: BulkRunner

    /// - Parameter id: of the request; one that was refused is judged anew under the same one.
    func adjust(_ id: String, _ request: BulkRequest, actor: String, key: String?) async throws -> Result {
        var attempt = 1
        while true {
            // Rows that were undone are known as done under their ids, so each attempt has its own.
            let name = attempt == 1 ? id : BulkRow.id(bulk: id, index: attempt, word: "attempt")
            attempt += 1
            let known = try await store.find(name)
            if known?.status == .failed { continue }
            let own = request.rows(of: name)
            var bulk = BulkState(id: name, status: .checking)
            bulk.isAtomic = true
            bulk.total = request.total
            bulk.actor = actor
            bulk.key = key
            let isTaken = known == nil ? try await store.open(bulk, request, isTaken: true) : false
            guard let end = try await runner.seeThrough(name, isTaken: isTaken) else {
                throw Problem(.internalError, "a bulk that was begun cannot be read")
            }
            if end.status == .failed { return .refused(try await store.errors(name)) }
            // Each row finds itself done.
            let outcomes = await adjuster.apply(own, runner.call(end))
            for case .failed(let problem) in outcomes { throw problem }
            return .done(id: name, rows: own, outcomes: outcomes)
        }
    }
}

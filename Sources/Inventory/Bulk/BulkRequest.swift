import JSON
import Services

/// What `/api/inventory/bulk-adjust` was asked for. Made beside the loop, since a body may be 32 MiB.
struct BulkRequest: Sendable {
    enum Mode: String, CaseIterable, Sendable { case partial, atomic }

    /// A row that was understood.
    struct Row: Sendable {
        /// Its place among the rows as they were sent.
        var index: Int
        var adjustment: Adjustment
    }

    let mode: Mode
    /// How many rows were sent.
    let total: Int
    /// Those that were understood, in the parts in which they wait in Redis: a part is let go when it is there.
    let chunks: [[Row]]
    /// Of those that were not.
    let errors: RowErrors

    static let mostRows = 100_000
    /// A row has 6 members at most.
    private static let mostMembers = 32

    init(_ body: JSONValue) throws {
        var fields = try Fields(body)
        mode = try fields.word("mode", Mode.self) ?? .partial
        let sent = try fields.array("adjustments", maxCount: BulkRequest.mostRows).required("adjustments")
        guard !sent.isEmpty else { throw Problem.field("adjustments", "must not be empty") }
        try fields.finish()
        total = sent.count
        var chunks: [[Row]] = []
        var chunk: [Row] = []
        var errors = RowErrors()
        for (i, value) in sent.enumerated() {
            do throws(Problem) {
                chunk.append(Row(index: i, adjustment: try BulkRequest.adjustment(value)))
            } catch { errors.add(RowError(i, error, row: value)) }
            if chunk.count == BulkState.rowsPerChunk {
                chunks.append(chunk)
                chunk = []
            }
        }
        self.chunks = chunk.isEmpty ? chunks : chunks + [chunk]
        self.errors = errors
    }

    private static func adjustment(_ value: JSONValue) throws(Problem) -> Adjustment {
        if case .object(let members) = value, members.count > mostMembers {
            throw Problem(.invalidRequest, "a row must have at most \(mostMembers) members, not \(members.count)")
        }
        return try Adjustment(value, named: true)
    }

    /// The rows as those of a bulk. Only of a bulk that is done at once: it is short.
    func rows(of bulk: String) -> [BulkRow] {
        chunks.joined().map { BulkRow(index: $0.index, $0.adjustment, bulk: bulk) }
    }
}

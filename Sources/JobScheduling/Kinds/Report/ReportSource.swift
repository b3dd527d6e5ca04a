import JSON
import Services

/// Figures that `report_generation` may show, as the executable lists them: services do not know each other, so each
/// one's figures come as a closure.
public struct ReportSource: Sendable {
    /// The word of `report`; `all` is taken.
    public let name: String
    let rows: @Sendable (ServiceContext) async throws -> [JSONValue]

    /// - Parameter rows: reads the figures on the loop of the job: objects, whose values are best texts, numbers, true or
    ///   false, since a table's cell shows anything else as JSON. What it throws is a failure that may pass.
    public init(_ name: String, rows: @escaping @Sendable (ServiceContext) async throws -> [JSONValue]) {
        self.name = name
        self.rows = rows
    }
}

extension ReportSource {
    /// A row per queue: how many jobs are in which state, and what has been done in all.
    public static let queues = ReportSource("queues") { context in
        let store = JobStore(context: context)
        var rows: [JSONValue] = []
        for queue in try await store.queues() { rows.append(row(try await store.figures(queue))) }
        return rows
    }

    private static func row(_ figures: QueueFigures) -> JSONValue {
        func sum(_ count: (QueueFigures.OfType) -> Int) -> JSONValue {
            .int(figures.types.reduce(0) { $0 + count($1) })
        }
        return .object(
            [
                .init("queue", .string(figures.queue.text)), .init("paused", .bool(figures.pausedMs != nil)),
                .init("ready", sum(\.ready)), .init("running", sum(\.running)), .init("overdue", sum(\.overdue)),
            ] + figures.sets.map { .init($0.name, .int($0.count)) }
                + figures.totals.map { .init("total_\($0.name)", .int($0.count)) })
    }
}

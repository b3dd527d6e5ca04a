import EventLoops
import Redis
import Services

/// Writes down how orders stand on a cluster, before anything is done to their lines by it, and where they are found should
/// whoever is at them die.
final class OrderLog {
    let lanes: StockLanes
    /// For tests: called before each effect, and throws where the process is to be dead from then on.
    var beforeEffect: (() throws -> Void)?
    private static let budgetUs: Int64 = 2_000_000
    /// So long an order may take before somebody else looks after it.
    static let lookAfterMs = 5000

    init(lanes: StockLanes) { self.lanes = lanes }

    /// nil where there is none.
    func read(_ suffix: String, deadlineUs: Int64) async throws -> OrderRecord? {
        try await run(suffix, ["read"], drains: true, deadlineUs).record
    }

    /// Has somebody look after an order, in a while. Comes before each step that leads away from rest.
    /// - Parameter order: of a new reservation: the order that lists it.
    func announce(_ suffix: String, order: String? = nil) async throws {
        try beforeEffect?()
        let redis = lanes.context.redis
        _ = try await redis.run(
            InventoryScripts.orderAnnounce, keys: [lanes.keys.orderDue(suffix)],
            arguments: [lanes.givenNowMs.map { String($0) } ?? "", String(OrderLog.lookAfterMs), suffix],
            budgetUs: OrderLog.budgetUs)
        guard let order else { return }
        _ = try await together(OrderIndex.commands(order, suffix, lanes.keys), on: lanes.context.loop) { words in
            try await redis.send(words, key: words[1], budgetUs: OrderLog.budgetUs)
        }
    }

    /// Takes an order on, if it still stands at `step`.
    /// - Parameter fields: names and values; empty ones are removed, `+n` is a time n ms from now.
    /// - Returns: whether it was done by this call, and the order as it stands now.
    func move(
        _ suffix: String, from step: Int, to state: OrderRecord.State, _ fields: [(String, String)] = [],
        deadlineUs: Int64
    ) async throws -> (isDone: Bool, record: OrderRecord?) {
        try beforeEffect?()
        let words = ["move", String(step), state.rawValue] + fields.flatMap { [$0.0, $0.1] }
        return try await run(suffix, words, drains: state != .holding && state != .extending, deadlineUs)
    }

    /// An order as somebody finds it who was to look after it. One at rest has a new step from then on: whoever is about to
    /// lead it away from rest has to announce that anew.
    func look(_ suffix: String, deadlineUs: Int64) async throws -> OrderRecord? {
        try beforeEffect?()
        return try await run(suffix, ["look"], drains: true, deadlineUs).record
    }

    /// Tries until the deadline. A step that was taken by a call whose answer is lost is found to be taken.
    private func run(
        _ suffix: String, _ words: [String], drains: Bool, _ deadlineUs: Int64
    ) async throws -> (isDone: Bool, record: OrderRecord?) {
        let key = lanes.keys.orderReservation(suffix)
        let now = lanes.givenNowMs.map { String($0) } ?? ""
        while true {
            do {
                let reply = try await lanes.context.redis.run(
                    drains ? InventoryScripts.orderStepDrain : InventoryScripts.orderStep, keys: [key],
                    arguments: [now] + words, budgetUs: OrderLog.budgetUs)
                guard let parts = reply.strings, parts.count >= 2 else {
                    throw RedisError.unexpectedReply("order_step")
                }
                return (parts[0] == "done", OrderRecord(suffix, Array(parts.dropFirst())))
            } catch let error as RedisError {
                if case .server = error, !error.isElsewhere { throw error }
                guard lanes.context.loop.nowUs < deadlineUs else { throw OrderLog.late }
                await lanes.context.loop.sleep(us: 50_000)
            }
        }
    }

    static var late: Problem {
        Problem(
            .unavailable, "the store did not answer in time; the request may have taken effect", retryAfterS: 1)
    }
}

import EventLoops
import JSON
import Redis
import Services

/// Takes an order over SKUs in several slots from one rest to the next. Its state says what is to be done, all of which may
/// be done again; so several may be at one order, and whoever finds one that nobody is at goes on where the other stopped.
struct OrderSaga {
    let log: OrderLog
    let deadlineUs: Int64

    private var lanes: StockLanes { log.lanes }

    init(log: OrderLog) {
        self.log = log
        deadlineUs = log.lanes.context.loop.nowUs + StockLanes.budgetUs
    }

    /// Goes on until the order is at rest.
    /// - Throws: when the store is away, or the order's time is over; somebody else goes on then.
    func settle(_ record: OrderRecord) async throws -> OrderRecord {
        var record = record
        while !record.state.isAtRest {
            guard lanes.context.loop.nowUs < deadlineUs else { throw OrderLog.late }
            switch record.state {
            case .holding: record = try await hold(record)
            case .undoing: record = try await end(record, "void", then: .refused)
            case .confirming: record = try await confirm(record)
            case .cancelling: record = try await end(record, "cancelled", then: .cancelled)
            case .expiring: record = try await end(record, "expired", then: .expired)
            case .extending: record = try await extend(record)
            case .refused, .held, .confirmed, .cancelled, .expired: break
            }
        }
        return record
    }

    /// Gives back what a process has held that nobody has heard of since.
    func undo(_ record: OrderRecord) async throws -> OrderRecord {
        guard record.state == .holding else { return try await settle(record) }
        return try await settle(try await move(record, to: .undoing))
    }

    /// The order as it stands after a step, whoever took it.
    func move(
        _ record: OrderRecord, to state: OrderRecord.State, _ fields: [(String, String)] = []
    ) async throws -> OrderRecord {
        let now = try await log.move(record.suffix, from: record.step, to: state, fields, deadlineUs: deadlineUs)
        guard let after = now.record else { throw OrderLog.late }
        return after
    }

    // MARK: What is to be done

    /// In the same order for all orders: of those that want the same, whoever has the first SKU gets the others, too.
    private func hold(_ record: OrderRecord) async throws -> OrderRecord {
        for place in record.skus.indices.sorted(by: { record.skus[$0].code < record.skus[$1].code }) {
            let sku = record.skus[place]
            guard place < record.lines.count, case .object(let wanted) = record.lines[place] else {
                throw RedisError.unexpectedReply("an order's line")
            }
            var members = wanted + [.init("expires", .int(record.expiresMs))]
            if let order = record.orderID { members.append(.init("order", .string(order))) }
            if record.priority > 0 { members.append(.init("priority", .int(record.priority))) }
            let reply = try await line("reserve", members, record, sku, drains: false)
            switch reply.word {
            case "held", "existing": continue
            case "short":
                return try await move(record, to: .undoing, [("refusal", "short \(place) \(reply.int(0))")])
            case "unknown": return try await move(record, to: .undoing, [("refusal", "unknown \(place)")])
            case "past": return try await move(record, to: .undoing, [("refusal", "past")])
            case "late":
                let after = try await again(record)
                // Nobody else is at it: the hold under its id is of another request.
                if after.step == record.step { return try await move(record, to: .undoing, [("refusal", "other")]) }
                return after
            default: throw RedisError.unexpectedReply("a line: \(reply.word)")
            }
        }
        return try await move(record, to: .held, [("lines", ""), ("key", ""), ("refusal", "")])
    }

    private func confirm(_ record: OrderRecord) async throws -> OrderRecord {
        let pins = try await lines(record) { _ in ("pin", []) }
        if pins.contains("late") { return try await again(record) }
        // Less is there than was reserved: the lines get back the end that they had, and are held as before.
        if pins.contains("lacking") {
            return try await move(record, to: .extending, [("until", String(record.expiresMs)), ("parts", "")])
        }
        // One has lapsed before it could be pinned. Nothing can come after that but the end of all of them.
        guard pins.allSatisfy({ $0 == "done" || $0 == "same" }) else { return try await move(record, to: .expiring) }
        let taken = try await lines(record) { place in
            guard let parts = record.parts, place < parts.count else { return ("confirm", []) }
            return ("confirm", [.init("parts", parts[place])])
        }
        if taken.contains("late") { return try await again(record) }
        guard let other = taken.first(where: { $0 != "done" && $0 != "same" }) else {
            return try await move(record, to: .confirmed)
        }
        throw RedisError.unexpectedReply("a pinned line: \(other)")
    }

    private func end(
        _ record: OrderRecord, _ status: String, then next: OrderRecord.State
    ) async throws -> OrderRecord {
        let words = try await lines(record) { _ in ("void", [.init("status", .string(status))]) }
        if words.contains("late") { return try await again(record) }
        return try await move(record, to: next)
    }

    private func extend(_ record: OrderRecord) async throws -> OrderRecord {
        let until = record.untilMs ?? record.expiresMs
        let words = try await lines(record) { _ in ("extend", [.init("expires", .int(until))]) }
        if words.contains("late") { return try await again(record) }
        guard words.allSatisfy({ $0 == "done" }) else { return try await move(record, to: .expiring) }
        return try await move(
            record, to: .held,
            [
                ("expires", String(until)), ("until", ""),
                ("firstExpires", String(record.firstExpiresMs ?? record.expiresMs)),
            ])
    }

    /// As it stands now: somebody else has been at it.
    private func again(_ record: OrderRecord) async throws -> OrderRecord {
        guard let after = try await log.read(record.suffix, deadlineUs: deadlineUs) else { throw OrderLog.late }
        return after
    }

    // MARK: Lines

    /// Does something to all lines at once; what each was answered with.
    private func lines(
        _ record: OrderRecord, _ make: (Int) -> (String, [JSONValue.Member])
    ) async throws -> [String] {
        let steps = record.skus.enumerated().map { place, sku in (sku, make(place)) }
        return try await together(steps, on: lanes.context.loop) { sku, step in
            try await line(step.0, step.1, record, sku, drains: step.0 != "extend").word
        }
    }

    private func line(
        _ word: String, _ members: [JSONValue.Member], _ record: OrderRecord, _ sku: SKU, drains: Bool
    ) async throws -> StockReply {
        try log.beforeEffect?()
        var all: [JSONValue.Member] = [
            .init("op", .string(word)), .init("id", .string(record.suffix)), .init("set", .string(record.set)),
            .init("step", .int(record.step)), .init("actor", .string(record.actor)),
        ]
        if let key = record.key { all.append(.init("key", .string(key))) }
        return try await lanes.perform(.object(all + members), on: sku, drains: drains)
    }
}

import EventLoops
import JSON
import Redis
import Services

/// Reservations over several SKUs where these lie in several slots. The answers are those of `order.lua`.
final class ClusterOrders {
    let log: OrderLog
    private let reader: HoldReader

    private var lanes: StockLanes { log.lanes }

    init(lanes: StockLanes) {
        log = OrderLog(lanes: lanes)
        reader = HoldReader(lanes: lanes)
    }

    func perform(_ step: OrderStep, _ suffix: String, _ skus: [SKU], actor: String) async throws -> OrderAnswer {
        let saga = OrderSaga(log: log)
        switch step {
        case .reserve(let draft): return try await reserve(draft, suffix, skus, actor, saga)
        case .show: return try await change(suffix, saga) { _, whole in .done(whole) }
        case .confirm(let parts):
            return try await change(suffix, saga) { [self] record, whole in
                if record.state == .confirmed { return .same(whole) }
                guard record.state == .held else { return .state(whole) }
                if let parts, let refusal = ClusterOrders.refusal(of: parts, whole) { return refusal }
                return try await leaveRest(
                    record, to: .confirming,
                    [("parts", parts.map { OrderStep.json($0).text() } ?? ""), ("actor", actor)], saga)
            }
        case .cancel:
            return try await change(suffix, saga) { [self] record, whole in
                if record.state == .cancelled { return .same(whole) }
                guard record.state == .held else { return .state(whole) }
                return try await leaveRest(record, to: .cancelling, [("actor", actor)], saga)
            }
        case .extend(let end):
            return try await change(suffix, saga) { [self] record, whole in
                guard record.state == .held else { return .state(whole) }
                if case .at(let ms) = end, ms <= record.nowMs { return .past }
                if try await isFar(end, suffix) { return .far }
                return try await leaveRest(record, to: .extending, [("until", end.text)], saga)
            }
        }
    }

    /// Looks after an order that somebody may have left; later, if that was only a moment ago.
    func finish(_ suffix: String) async throws {
        let saga = OrderSaga(log: log)
        guard let record = try await log.look(suffix, deadlineUs: saga.deadlineUs), !record.state.isAtRest else {
            return
        }
        if record.nowMs - record.sinceMs < OrderLog.lookAfterMs { return try await log.announce(suffix) }
        _ = try await saga.undo(record)
    }

    // MARK: Making

    private func reserve(
        _ draft: OrderReserve, _ suffix: String, _ skus: [SKU], _ actor: String, _ saga: OrderSaga
    ) async throws -> OrderAnswer {
        if let place = try await firstUnknown(skus) { return .unknown(place) }
        if try await isFar(draft.end, suffix) { return .far }
        // The step of the attempt that this request is in.
        var attempt: Int?
        var isOurs = false
        while true {
            guard lanes.context.loop.nowUs < saga.deadlineUs else { throw OrderLog.late }
            let known = try await log.read(suffix, deadlineUs: saga.deadlineUs)
            switch known?.state {
            case nil, .refused:
                if let known, let attempt, known.step > attempt { return try ClusterOrders.refusal(known) }
                if case .at(let ms) = draft.end, let known, ms <= known.nowMs { return .past }
                try await log.announce(suffix, order: draft.orderID)
                let opened = try await log.move(
                    suffix, from: known?.step ?? 0, to: .holding, draft.fields(skus, actor),
                    deadlineUs: saga.deadlineUs)
                guard opened.isDone, let record = opened.record else { continue }
                (attempt, isOurs) = (record.step, true)
                try await hold(record, saga)
            case .holding:
                guard let known, known.skus == skus, known.request == draft.request else { return .other }
                attempt = attempt ?? known.step
                try await hold(known, saga)
            case .undoing: _ = try await saga.settle(known!)
            default:
                guard let known, known.skus == skus else { return .other }
                if let whole = try await whole(known, saga) { return isOurs ? .held(whole.1) : .existing(whole.1) }
            }
        }
    }

    /// What could not be held altogether is given back, without anybody waiting for it when the request's time is over.
    private func hold(_ record: OrderRecord, _ saga: OrderSaga) async throws {
        do { _ = try await saga.settle(record) } catch {
            let log = log
            if lanes.context.loop.nowUs < saga.deadlineUs {
                _ = try? await saga.undo(record)
            } else {
                lanes.context.loop.spawn { _ = try? await OrderSaga(log: log).undo(record) }
            }
            throw error
        }
    }

    private func isFar(_ end: ReserveStep.End, _ suffix: String) async throws -> Bool {
        guard case .at(let ms) = end else { return false }
        return ms - (try await lanes.nowMs(of: lanes.keys.orderReservation(suffix))) > ReservationDraft.longestHoldMs
    }

    private func firstUnknown(_ skus: [SKU]) async throws -> Int? {
        let (redis, keys) = (lanes.context.redis, lanes.keys)
        let areThere = try await together(skus, on: lanes.context.loop) { sku in
            let key = keys.stock(sku)
            return try await redis.send(["HEXISTS", key, "product"], key: key, budgetUs: 2_000_000).int == 1
        }
        return areThere.firstIndex(of: false)
    }

    private static func refusal(_ record: OrderRecord) throws -> OrderAnswer {
        let words = record.refusal
        let numbers = words.dropFirst().compactMap { Int($0) }
        switch words.first {
        case "short" where numbers.count == 2: return .short(numbers[0], available: numbers[1])
        case "unknown" where numbers.count == 1: return .unknown(numbers[0])
        case "past": return .past
        case "other": return .other
        // It took so long that somebody else has given it up.
        default: throw Problem(.unavailable, "the store did not answer in time; nothing was changed", retryAfterS: 1)
        }
    }

    // MARK: Changing

    /// Has `body` judge an order at rest, again for as long as others change it: it answers nil when it is to be judged anew.
    private func change(
        _ suffix: String, _ saga: OrderSaga,
        _ body: (OrderRecord, OrderReservation) async throws -> OrderAnswer?
    ) async throws -> OrderAnswer {
        while true {
            guard lanes.context.loop.nowUs < saga.deadlineUs else { throw OrderLog.late }
            guard let record = try await log.read(suffix, deadlineUs: saga.deadlineUs), record.state.isThere else {
                return .missing
            }
            guard let (settled, whole) = try await whole(record, saga) else { return .missing }
            if let answer = try await body(settled, whole) { return answer }
        }
    }

    /// Leads an order from `held` to the next rest; nil when somebody else has done something to it before.
    private func leaveRest(
        _ record: OrderRecord, to state: OrderRecord.State, _ fields: [(String, String)], _ saga: OrderSaga
    ) async throws -> OrderAnswer? {
        try await log.announce(record.suffix)
        let moved = try await log.move(
            record.suffix, from: record.step, to: state, fields, deadlineUs: saga.deadlineUs)
        guard moved.isDone, let begun = moved.record else { return nil }
        guard let (settled, whole) = try await whole(begun, saga) else { return .missing }
        if settled.state == .held, state == .confirming { return .lacking(nil) }
        return settled.state == .expired ? .state(whole) : .done(whole)
    }

    private static func refusal(of parts: [[String: Int]], _ whole: OrderReservation) -> OrderAnswer? {
        for (place, (wanted, line)) in zip(parts, whole.lines).enumerated() {
            for (warehouse, n) in wanted {
                let had = line.hold.parts.first { $0.warehouse == warehouse }?.quantity ?? 0
                if n > had { return .more(place, than: had) }
            }
        }
        return nil
    }

    /// An order at rest, with its lines. When one of them has lapsed, all have.
    private func whole(
        _ record: OrderRecord, _ saga: OrderSaga
    ) async throws -> (OrderRecord, OrderReservation)? {
        var record = try await saga.settle(record)
        while true {
            let (suffix, skus) = (record.suffix, record.skus)
            let found = try await together(skus, on: lanes.context.loop) { [reader] sku in
                try await reader.read(sku, suffix).map {
                    OrderReservation.Line(sku: sku, productID: $0.productID, hold: $0.0)
                }
            }
            let lines = found.compactMap { $0 }
            guard let next = ClusterOrders.what(record, lines.map(\.hold)) else {
                guard lines.count == skus.count else { return nil }
                return (record, OrderReservation(record, lines))
            }
            guard let now = try await log.read(suffix, deadlineUs: saga.deadlineUs) else { return nil }
            // Unless somebody has led it on while it was read.
            if now.step == record.step {
                try await log.announce(suffix)
                record = try await saga.settle(try await saga.move(record, to: next))
            } else {
                record = try await saga.settle(now)
            }
            if !record.state.isThere { return nil }
        }
    }

    /// What an order must be led to for which its lines are not as they should be; nil when they are.
    private static func what(_ record: OrderRecord, _ holds: [Hold]) -> OrderRecord.State? {
        let areAllOpen = holds.count == record.skus.count && holds.allSatisfy { $0.status == .active }
        if record.state == .held { return areAllOpen ? nil : .expiring }
        // A node that failed over may have lost what was done to a line last.
        guard holds.contains(where: { $0.status == .active }) else { return nil }
        switch record.state {
        case .confirmed: return .confirming
        case .cancelled: return .cancelling
        case .expired: return .expiring
        default: return nil
        }
    }
}

extension OrderReservation {
    init(_ record: OrderRecord, _ lines: [Line]) {
        self.init(
            id: StockID(sku: nil, suffix: record.suffix), orderID: record.orderID, request: record.request,
            createdMs: record.createdMs, expiresMs: record.expiresMs, firstExpiresMs: record.firstExpiresMs,
            lines: lines)
    }
}

extension ReserveStep.End {
    /// As `order_step` reads a time.
    fileprivate var text: String {
        switch self {
        case .at(let ms): String(ms)
        case .after(let ms): "+\(ms)"
        }
    }
}

extension OrderReserve {
    /// What is written down of it before its first line is held.
    fileprivate func fields(_ skus: [SKU], _ actor: String) -> [(String, String)] {
        [
            ("order", orderID ?? ""), ("created", "+0"), ("expires", end.text), ("firstExpires", ""),
            ("request", request ?? ""), ("skus", skus.map(\.code).joined(separator: " ")),
            ("lines", JSONValue.array(lines.map { .object($0.members) }).text()), ("actor", actor), ("key", key ?? ""),
            ("priority", priority > 0 ? String(priority) : ""), ("parts", ""), ("until", ""), ("refusal", ""),
        ]
    }
}

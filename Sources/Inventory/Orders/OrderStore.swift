import EventLoops
import JSON
import Redis
import Services

/// A reservation over several products, as Redis has it.
struct OrderReservation: Sendable {
    struct Line: Sendable {
        var sku: SKU
        var productID: String
        var hold: Hold
    }

    var id: StockID
    var orderID: String?
    var request: String?
    var createdMs: Int
    var expiresMs: Int
    var firstExpiresMs: Int?
    var lines: [Line]

    /// All holds are in the same state.
    var status: Hold.Status { lines.first?.hold.status ?? .expired }
}

/// What became of a step on such a reservation.
enum OrderAnswer: Sendable {
    case held(OrderReservation)
    case existing(OrderReservation)
    case done(OrderReservation)
    case same(OrderReservation)
    case state(OrderReservation)
    /// Too little of the SKU at this place.
    case short(Int, available: Int)
    /// More than is held of the SKU at this place.
    case more(Int, than: Int)
    /// There is no product at this place.
    case unknown(Int)
    case missing
    case past
    /// Its end would be too far away.
    case far
    /// Less is there than was reserved, of the SKU at this place, where that is known.
    case lacking(Int?)
    /// There is one under this id, over other SKUs.
    case other

    /// Whether there is a reservation now that was asked for.
    var isThere: Bool {
        switch self {
        case .held, .existing: true
        default: false
        }
    }
}

/// Reservations over several SKUs. On one Redis each step is one script call, so there is nothing that could deadlock, and
/// nothing that could be left half done; a call whose answer is lost is made again under the same id. A cluster does the
/// same line by line.
final class OrderStore {
    private let lanes: StockLanes
    /// On a cluster.
    let cluster: ClusterOrders?
    private static let replyBudgetUs: Int64 = 2_000_000
    /// After this a sweeper looks for what a call left behind, should its caller die.
    private static let lookAfterMs = 5000

    init(lanes: StockLanes) {
        self.lanes = lanes
        cluster = lanes.context.redis.isCluster ? ClusterOrders(lanes: lanes) : nil
    }

    /// The SKUs of a reservation; nil where there is none.
    func skus(_ suffix: String) async throws -> [SKU]? {
        let key = lanes.keys.orderReservation(suffix)
        let reply = try await lanes.context.redis.send(
            ["HGET", key, "skus"], key: key, budgetUs: OrderStore.replyBudgetUs)
        return reply.string?.split(separator: " ").compactMap { SKU(code: String($0)) }
    }

    func perform(_ step: OrderStep, suffix: String, skus: [SKU], actor: String = "") async throws -> OrderAnswer {
        if let cluster { return try await cluster.perform(step, suffix, skus, actor: actor) }
        let deadlineUs = lanes.context.loop.nowUs + StockLanes.budgetUs
        let keys = [lanes.keys.orderReservation(suffix)] + skus.map { lanes.keys.stock($0) }
        let arguments = [lanes.givenNowMs.map { String($0) } ?? "", step.json(suffix, actor: actor).text()]
        let order = if case .reserve(let draft) = step { draft.orderID } else { String?.none }
        let drains = step.drains
        var isUncertain = false
        while true {
            do {
                // With no memory left nothing can be announced, and what gives back goes on all the same.
                do { try await announce(suffix, skus, order) } catch { if !drains { throw error } }
                let reply = try await lanes.context.redis.run(
                    drains ? InventoryScripts.orderDrain : InventoryScripts.order, keys: keys, arguments: arguments,
                    budgetUs: OrderStore.replyBudgetUs)
                if reply.string == "more" { continue }
                return try answer(reply, suffix, skus, isUncertain)
            } catch let error as RedisError {
                if case .server = error { throw error }
                if error.mayHaveRun { isUncertain = true }
                guard lanes.context.loop.nowUs < deadlineUs else {
                    let doubt = isUncertain ? "; the request may have taken effect" : "; nothing was changed"
                    throw Problem(.unavailable, "the store did not answer in time\(doubt)", retryAfterS: 1)
                }
                await lanes.context.loop.sleep(us: 50_000)
            }
        }
    }

    /// What finds the reservation and what is due with it, before there is any.
    private func announce(_ suffix: String, _ skus: [SKU], _ order: String?) async throws {
        let redis = lanes.context.redis
        let ms = String(Int(WallClock.nowUs() / 1000) + OrderStore.lookAfterMs)
        var commands = skus.map { sku in ["ZADD", lanes.keys.due(sku), "LT", ms, sku.code] }
        if let order { commands += OrderIndex.commands(order, suffix, lanes.keys) }
        _ = try await together(commands, on: lanes.context.loop) { words in
            try await redis.send(words, key: words[1], budgetUs: OrderStore.replyBudgetUs)
        }
    }

    private func answer(
        _ reply: RedisReply, _ suffix: String, _ skus: [SKU], _ isUncertain: Bool
    ) throws -> OrderAnswer {
        guard case .array(let parts) = reply, parts.count >= 3, let word = parts[2].string else {
            throw RedisError.unexpectedReply("order")
        }
        if parts[1].int ?? 0 > 0 { for sku in skus { lanes.onOutbox?(sku) } }
        func int(_ index: Int) -> Int { index < parts.count ? parts[index].int ?? 0 : 0 }
        switch word {
        case "short": return .short(int(3) - 1, available: int(4))
        case "more": return .more(int(3) - 1, than: int(4))
        case "unknown": return .unknown(int(3) - 1)
        case "lacking": return .lacking(int(3) - 1)
        case "missing": return .missing
        case "past": return .past
        case "far": return .far
        case "other": return .other
        default: break
        }
        let whole = try reservation(parts, suffix, skus)
        switch word {
        case "held": return .held(whole)
        case "existing": return isUncertain ? .held(whole) : .existing(whole)
        case "done": return .done(whole)
        case "same": return .same(whole)
        case "state": return .state(whole)
        default: throw RedisError.unexpectedReply("order: \(word)")
        }
    }

    private func reservation(
        _ parts: [RedisReply], _ suffix: String, _ skus: [SKU]
    ) throws -> OrderReservation {
        func map(_ words: [String]) -> [String: String] {
            StockReply(nowMs: 0, productID: "", word: "", rest: words).fields
        }
        guard parts.count == 4 + skus.count, let words = parts[3].strings else {
            throw RedisError.unexpectedReply("order")
        }
        let fields = map(words)
        var lines: [OrderReservation.Line] = []
        for (sku, part) in zip(skus, parts.dropFirst(4)) {
            guard let words = part.strings, let productID = words.first,
                let hold = Hold(suffix: suffix, map(Array(words.dropFirst())))
            else { throw RedisError.unexpectedReply("order: a line") }
            lines.append(OrderReservation.Line(sku: sku, productID: productID, hold: hold))
        }
        return OrderReservation(
            id: StockID(sku: nil, suffix: suffix), orderID: fields["order"].flatMap { $0.isEmpty ? nil : $0 },
            request: fields["request"].flatMap { $0.isEmpty ? nil : $0 },
            createdMs: fields["created"].flatMap { Int($0) } ?? 0,
            expiresMs: fields["expires"].flatMap { Int($0) } ?? 0,
            firstExpiresMs: fields["firstExpires"].flatMap { Int($0) }, lines: lines)
    }
}

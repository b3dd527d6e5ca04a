import Bytes
import EventLoops
import JSON
import Redis
import Services

/// Takes what a SKU has to tell out of its slot: into the stream that everybody hears, the list of alerts, and to whoever
/// else wants it. Each event is taken from the SKU only when all have it, so it is told at least once; under its id it
/// comes to the stream once.
final class StockOutbox {
    private let lanes: StockLanes
    /// When an alert is told again that nobody has acknowledged, ms after it was raised.
    private let escalateAfterMs: Int
    private let onEvent: (@Sendable (StockEvent, ServiceContext) async throws -> Void)?
    /// SKUs that are being drained here, and whether there has been more since.
    private var draining: [SKU: Bool] = [:]
    private static let budgetUs: Int64 = 2_000_000

    init(
        lanes: StockLanes, escalateAfterMs: Int,
        onEvent: (@Sendable (StockEvent, ServiceContext) async throws -> Void)?
    ) {
        self.lanes = lanes
        self.escalateAfterMs = escalateAfterMs
        self.onEvent = onEvent
    }

    /// Tells what there is, soon.
    func drainSoon(_ sku: SKU) {
        guard draining[sku] == nil else {
            draining[sku] = true
            return
        }
        draining[sku] = false
        lanes.context.loop.spawn { [self] in
            repeat {
                draining[sku] = false
                await drain(sku)
            } while draining[sku] == true
            draining[sku] = nil
        }
    }

    /// Tells what there is. What can't be told now stays for the next one who tries.
    /// - Returns: whether all of it was told.
    @discardableResult
    func drain(_ sku: SKU) async -> Bool {
        let key = lanes.keys.outbox(sku)
        do {
            while true {
                let texts = try await send(["LRANGE", key, "0", "99"], key).strings ?? []
                for text in texts {
                    if let json = text.withByteView({ try? JSONValue(parsing: $0) }), let event = StockEvent(json) {
                        try await tell(event)
                    } else {
                        lanes.context.log.error("an event of the stock that cannot be read", ["sku": .string(sku.code)])
                    }
                    _ = try await send(["LREM", key, "1", text], key)
                }
                if texts.count < 100 { return true }
            }
        } catch {
            lanes.context.log.warning(
                "events of the stock are told later", ["sku": .string(sku.code), "error": .string("\(error)")])
            return false
        }
    }

    private func tell(_ event: StockEvent) async throws {
        try await publish(event)
        try await onEvent?(event, lanes.context)
    }

    func publish(_ event: StockEvent) async throws {
        let keys = lanes.keys
        let escalation = event.isRaised ? String(event.atMs + escalateAfterMs) : ""
        _ = try await lanes.context.redis.run(
            InventoryScripts.publish, keys: [keys.events, keys.told, keys.alerts, keys.escalations],
            arguments: [event.json.text(), event.id, String(event.atMs), event.alert ?? "", escalation],
            budgetUs: StockOutbox.budgetUs)
    }

    /// Tells alerts again that nobody has acknowledged in time.
    /// - Parameter knownMs: about what time it is by Redis's clock.
    /// - Returns: when the next one is due; nil where none is.
    func escalate(nowMs knownMs: Int) async throws -> Int? {
        let keys = lanes.keys
        let first = try await send(["ZRANGE", keys.escalations, "0", "0", "WITHSCORES"], keys.escalations).strings
        guard let text = first?.last, let firstMs = Double(text).flatMap({ Int(exactly: $0) }) else { return nil }
        if firstMs > knownMs { return firstMs }
        let nowMs = try await lanes.nowMs(of: keys.escalations)
        let due = try await send(
            ["ZRANGEBYSCORE", keys.escalations, "-inf", String(nowMs), "LIMIT", "0", "100"], keys.escalations)
        for name in due.strings ?? [] {
            if let (sku, warehouse) = StockOutbox.place(name) { try await escalate(sku, warehouse, nowMs) }
            _ = try await send(["ZREM", keys.escalations, name], keys.escalations)
        }
        return nowMs
    }

    private func escalate(_ sku: SKU, _ warehouse: String, _ nowMs: Int) async throws {
        let reply = try await lanes.context.redis.run(
            InventoryScripts.alert, keys: [lanes.keys.alert(sku, warehouse: warehouse)],
            arguments: ["escalate", "", String(nowMs), ""], budgetUs: StockOutbox.budgetUs)
        guard let words = reply.strings, words.count > 1 else { return }
        let fields = StockReply(nowMs: 0, productID: "", word: "", rest: Array(words.dropFirst())).fields
        let number = fields["number"].flatMap { Int($0) } ?? 0
        let product = try await send(["HGET", lanes.keys.stock(sku), "product"], lanes.keys.stock(sku)).string ?? ""
        let json = JSONValue.object([
            // Worse levels of one alert may each be told again.
            .init("id", .string("\(sku.code)~\(warehouse)~\(number)~\(fields["changed"] ?? "")~escalated")),
            .init("event", .string("escalated")), .init("sku", .string(sku.code)), .init("product", .string(product)),
            .init("warehouse", .string(warehouse)), .init("level", .string(fields["level"] ?? "")),
            .init("number", .int(number)), .init("at", .int(nowMs)),
        ])
        if let event = StockEvent(json) { try await tell(event) }
    }

    /// `SKU~warehouse`.
    static func place(_ name: String) -> (SKU, warehouse: String)? {
        guard let mark = name.lastIndex(of: "~"), let sku = SKU(code: String(name[..<mark])) else { return nil }
        return (sku, String(name[name.index(after: mark)...]))
    }

    private func send(_ words: [String], _ key: String) async throws -> RedisReply {
        try await lanes.context.redis.send(words, key: key, budgetUs: StockOutbox.budgetUs)
    }
}

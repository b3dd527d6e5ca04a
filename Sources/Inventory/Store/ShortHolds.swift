import JSON
import Redis
import Services

/// Holds that there is not enough for any more, since somebody has found less than is reserved.
final class ShortHolds {
    struct Row: Sendable {
        var id: StockID
        var orderID: String?
        /// What it holds in the warehouse.
        var quantity: Int
        var missing: Int

        var json: JSONValue {
            var members: [JSONValue.Member] = [.init("id", .string(id.description))]
            if let orderID { members.append(.init("orderId", .string(orderID))) }
            members += [.init("quantity", .int(quantity)), .init("missing", .int(missing))]
            return .object(members)
        }
    }

    private let lanes: StockLanes
    private let auditor: StockAuditor
    private static let budgetUs: Int64 = 2_000_000

    init(lanes: StockLanes) {
        self.lanes = lanes
        auditor = StockAuditor(lanes: lanes)
    }

    /// What is there goes to those with priority first, then to who came first.
    func find(_ sku: SKU, in warehouse: String, there: Int) async throws -> [Row] {
        let (redis, keys) = (lanes.context.redis, lanes.keys)
        let open = try await auditor.openHolds(sku).filter { $0.levels[warehouse]?.reserved ?? 0 > 0 }
        let holds = try await inParts(open, on: lanes.context.loop) { record -> (Hold, Int)? in
            let suffix = String(record.name.dropFirst())
            let key = keys.reservation(sku, suffix)
            let reply = try await redis.send(["HGETALL", key], key: key, budgetUs: ShortHolds.budgetUs)
            let fields = StockReply(nowMs: 0, productID: "", word: "", rest: reply.strings ?? []).fields
            guard let hold = Hold(suffix: suffix, fields), hold.status == .active else { return nil }
            let quantity = hold.parts.reduce(0) { $1.warehouse == warehouse ? $0 + $1.quantity : $0 }
            return quantity > 0 ? (hold, quantity) : nil
        }.compactMap { $0 }
        var rest = max(0, there)
        var rows: [Row] = []
        for (hold, quantity) in holds.sorted(by: ShortHolds.isBefore) {
            let given = min(rest, quantity)
            rest -= given
            if given < quantity {
                let id = StockID(sku: sku, suffix: hold.suffix)
                rows.append(Row(id: id, orderID: hold.orderID, quantity: quantity, missing: quantity - given))
            }
        }
        return rows
    }

    private static func isBefore(_ left: (Hold, Int), _ right: (Hold, Int)) -> Bool {
        (-left.0.priority, left.0.createdMs, left.0.suffix) < (-right.0.priority, right.0.createdMs, right.0.suffix)
    }
}

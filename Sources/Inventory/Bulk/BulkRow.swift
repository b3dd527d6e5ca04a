import Bytes
import Digests
import JSON
import Services

/// A row of a bulk that was understood.
struct BulkRow: Sendable, Equatable {
    /// Its place among the rows as they were sent.
    var index: Int
    var adjustment: Adjustment
    /// Of its adjustment, 20 hex digits: under one it is done once, however often it is tried.
    var id: String

    init(index: Int, _ adjustment: Adjustment, bulk: String) {
        self.index = index
        self.adjustment = adjustment
        id = BulkRow.id(bulk: bulk, index: index)
    }

    /// - Parameter word: what else is done with the row under an id of its own.
    static func id(bulk: String, index: Int, word: String = "row") -> String {
        let text = "\(bulk) \(word) \(index)"
        let digest = ByteBuffer(capacity: 64)
        text.withByteView { SHA256.hash($0).withByteView { digest.append(hex: $0.slice(0, StockID.digits / 2)) } }
        return digest.view.string
    }

    // MARK: As it waits in Redis

    /// - Parameter json: what `json` made.
    init(_ json: JSONValue, bulk: String) throws(Problem) {
        guard case .array(let parts) = json, parts.count == 2, case .int(let index) = parts[0] else {
            throw Problem(.internalError, "a stored row cannot be read")
        }
        self.init(index: index, try Adjustment(parts[1], named: true), bulk: bulk)
    }

    static func json(_ row: BulkRequest.Row) -> JSONValue { .array([.int(row.index), row.adjustment.json]) }
}

extension Adjustment {
    /// As a client sends it.
    var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("productId", .string(product)), .init("warehouseId", .string(warehouse)),
            .init("type", .string(kind.rawValue)), .init("quantity", .int(quantity)),
        ]
        if let reason { members.append(.init("reason", .string(reason))) }
        if let expected { members.append(.init("expected", .int(expected))) }
        return .object(members)
    }
}

import Bytes
import JSON

/// Something about stock that others want to know: an alert's edge, a backorder that was filled.
public struct StockEvent: Sendable {
    /// Under it an event is the same, however often it is told.
    public let id: String
    /// `low-stock`, `out-of-stock`, `overstock`, `oversold`, `resolved`, `escalated`, `backorder-filled`.
    public let name: String
    /// All of it.
    public let json: JSONValue
    /// ms since 1970.
    let atMs: Int
    let sku: SKU
    /// Of which warehouse an alert is; nil for what is none.
    let warehouse: String?

    /// nil for what is no event.
    init?(_ json: JSONValue) {
        guard case .string(let id)? = json["id"], case .string(let name)? = json["event"],
            case .string(let text)? = json["sku"], let sku = SKU(text), case .int(let atMs)? = json["at"]
        else { return nil }
        self.id = id
        self.name = name
        self.json = json
        self.atMs = atMs
        self.sku = sku
        if case .string(let warehouse)? = json["warehouse"] { self.warehouse = warehouse } else { warehouse = nil }
    }

    /// `SKU~warehouse` of an alert.
    var alert: String? { warehouse.map { "\(sku)~\($0)" } }

    /// Whether somebody has to see it.
    var isRaised: Bool { ["low-stock", "out-of-stock", "overstock", "oversold"].contains(name) }
}

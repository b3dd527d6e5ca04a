import Bytes
import JSON

/// Something about stock that others want to know: an alert's edge, a backorder that was filled.
public struct StockEvent: Sendable {
    /// Under it an event is the same, however often it is told.
    public let id: String
    /// `low-stock`, `out-of-stock`, `overstock`, `oversold`, `resolved`, `escalated`, `backorder-filled`.
    public let name: String
    /// All of it, with the SKU as people write it.
    public let json: JSONValue
    /// ms since 1970.
    let atMs: Int
    let sku: SKU
    /// Of which warehouse an alert is; nil for what is none.
    let warehouse: String?

    /// - Parameter json: as the scripts write it, with the SKU's code; nil for what is no event.
    init?(_ json: JSONValue) {
        guard case .object(let members) = json, case .string(let id)? = json["id"],
            case .string(let name)? = json["event"], case .string(let code)? = json["sku"],
            let sku = SKU(code: code), case .int(let atMs)? = json["at"]
        else { return nil }
        self.id = id
        self.name = name
        self.json = .object(members.map { $0.key == "sku" ? .init("sku", .string(sku.text)) : $0 })
        self.atMs = atMs
        self.sku = sku
        if case .string(let warehouse)? = json["warehouse"] { self.warehouse = warehouse } else { warehouse = nil }
    }

    /// `SKU~warehouse` of an alert.
    var alert: String? { warehouse.map { "\(sku.code)~\($0)" } }

    /// Whether somebody has to see it.
    var isRaised: Bool { ["low-stock", "out-of-stock", "overstock", "oversold"].contains(name) }
}

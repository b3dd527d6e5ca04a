import Bytes
import JSON

/// A reservation of one product as the API shows it.
enum HoldJSON {
    static func write(_ hold: Hold, sku: SKU, productID: String, to json: inout JSONWriter) {
        json.beginObject()
        json.field("id", StockID(sku: sku, suffix: hold.suffix).description)
        json.field("productId", productID)
        json.field("sku", sku.text)
        if hold.parts.count == 1 { json.field("warehouseId", hold.parts[0].warehouse) }
        json.field("quantity", hold.parts.isEmpty ? hold.wanted : hold.quantity)
        if let order = hold.orderID { json.field("orderId", order) }
        json.field("status", hold.status.rawValue)
        json.field("createdAt", time(hold.createdMs))
        json.field("expiresAt", time(hold.expiresMs))
        if let ended = hold.endedMs {
            switch hold.status {
            case .confirmed: json.field("confirmedAt", time(ended))
            case .cancelled: json.field("cancelledAt", time(ended))
            case .expired: json.field("expiredAt", time(ended))
            case .active, .waiting, .void: break
            }
        }
        if hold.priority > 0 { json.field("priority", hold.priority) }
        if hold.parts.count > 1 { write(hold.parts, as: "allocations", to: &json) }
        if let confirmed = hold.confirmed {
            json.field("confirmedQuantity", confirmed.reduce(0) { $0 + $1.quantity })
            if confirmed.count > 1 { write(confirmed, as: "confirmedAllocations", to: &json) }
        }
        if let set = hold.set { json.field("reservationId", set) }
        if let other = hold.replacedBy { json.field("replacedBy", StockID(sku: sku, suffix: other).description) }
        json.endObject()
    }

    private static func write(_ parts: [Hold.Part], as name: StaticString, to json: inout JSONWriter) {
        json.beginArray(name)
        for part in parts {
            json.beginObject()
            json.field("warehouseId", part.warehouse)
            json.field("quantity", part.quantity)
            json.endObject()
        }
        json.endArray()
    }

    static func time(_ ms: Int) -> Timestamp { Timestamp(us: Int64(ms) * 1000) }
}

extension Hold {
    /// As the request that made it was answered, and is answered again.
    var asMade: Hold {
        var hold = self
        hold.status = wanted > 0 ? .waiting : .active
        hold.parts = wanted > 0 ? [] : firstParts ?? parts
        hold.wanted = firstWanted ?? wanted
        hold.replacedBy = nil
        hold.expiresMs = firstExpiresMs ?? expiresMs
        hold.endedMs = nil
        hold.confirmed = nil
        return hold
    }
}

extension Hold {
    /// Whether it was confirmed as this asks for it; what else was confirmed is no answer to that.
    /// - Parameters:
    ///   - asked: how much; nil: all of it.
    ///   - key: a repeated request comes under the same one.
    func wasConfirmed(as asked: Int?, key: String?) -> Bool {
        guard let confirmed else { return asked == nil || asked == quantity }
        if let key, let confirmKey, key != confirmKey { return false }
        return asked == confirmed.reduce(0) { $0 + $1.quantity }
    }
}

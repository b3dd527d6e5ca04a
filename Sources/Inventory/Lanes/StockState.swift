import Bytes
import Redis

/// A SKU's hash as a transaction read it, and as the steps judged since then have left it.
struct StockState {
    struct Counters {
        var warehouse: String
        var quantity = 0
        var reserved = 0
        var inTransit = 0
        /// Between these, both exclusive, `available` may move without an alert; nil below: not known yet.
        var below: Int?
        var above: Int?
        var isTouched = false

        var available: Int { quantity - reserved }

        /// Whether `available` may become this without anybody looking for an alert.
        func isCalm(_ available: Int) -> Bool {
            guard let below else { return false }
            return available > below && available < above ?? .max
        }
    }

    /// Empty where there is no such product.
    var productID = ""
    var version = 0
    var nextExpiryMs: Int?
    var waiting = 0
    var counters: [Counters] = []

    /// - Parameter reply: of HGETALL.
    init(_ reply: ReplyView) {
        var i = 0
        while i + 1 < reply.count {
            let name = reply[i].bytes
            let value = reply[i + 1].bytes
            if let colon = name.lastIndex(of: 0x3A) {
                let number = value.decimal ?? -1
                let at = index(name.slice(0, colon))
                let word = name.dropFirst(colon + 1)
                if word == "quantity" {
                    counters[at].quantity = number
                } else if word == "reserved" {
                    counters[at].reserved = number
                } else if word == "inTransit" {
                    counters[at].inTransit = number
                } else if word == "below" {
                    // Written as -1 where nothing can come below.
                    counters[at].below = number
                } else if word == "above" {
                    counters[at].above = number
                }
            } else if name == "product" {
                productID = value.string
            } else if name == "version" {
                version = value.decimal ?? 0
            } else if name == "nextExpiry" {
                nextExpiryMs = value.decimal
            } else if name == "waiting" {
                waiting = value.decimal ?? 0
            }
            i += 2
        }
    }

    /// Where a warehouse's counters are; nil where it never had any.
    func find(_ warehouse: String) -> Int? { counters.firstIndex { $0.warehouse == warehouse } }

    private mutating func index(_ warehouse: ByteView) -> Int {
        if let at = counters.firstIndex(where: { $0.warehouse.withByteView { $0 == warehouse } }) { return at }
        counters.append(Counters(warehouse: warehouse.string))
        return counters.count - 1
    }
}

/// Reserved is the sum of the active holds, the ledger is every counter, and nobody was told what is not so.
enum StockLaws {
    struct Counters: Equatable {
        var quantity = 0
        var reserved = 0
    }

    struct Hold: Equatable {
        var status: String
        var quantity: Int
    }

    struct Entry: Equatable {
        var type: String
        /// The 20 digits of the hold it is about.
        var hold: String
        var quantity: Int
        var reserved: Int
    }

    /// A product in the one warehouse of the run, as Redis has it.
    struct Stock: Equatable {
        var counters = Counters()
        /// Holds that have not ended, by their 20 digits.
        var open: [String: Hold] = [:]
        /// The holds that clients were told of, by their 20 digits.
        var told: [String: Hold] = [:]
        var ledger: [Entry] = []
    }

    static func judge(_ record: RunRecord, stocks: [String: Stock]) -> [Law] {
        [
            bounds(record, stocks), reserved(record, stocks), ledger(record, stocks), sold(record, stocks),
            ends(record, stocks), told(record, stocks),
        ]
    }

    private static func each(
        _ name: String, _ record: RunRecord, _ stocks: [String: Stock],
        _ body: (RunRecord.Product, Stock, inout Law) -> Void
    ) -> Law {
        var law = Law(name, about: "\(record.products.count) products")
        for product in record.products { body(product, stocks[product.sku] ?? Stock(), &law) }
        return law
    }

    private static func bounds(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        each("0 ≤ reserved ≤ quantity", record, stocks) { product, stock, law in
            let counters = stock.counters
            if counters.reserved < 0 || counters.reserved > counters.quantity {
                law.violated("\(product.sku): \(counters.reserved) reserved of \(counters.quantity)")
            }
        }
    }

    private static func reserved(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        each("reserved = Σ active holds", record, stocks) { product, stock, law in
            let held = stock.open.values.reduce(0) { $0 + ($1.status == "active" ? $1.quantity : 0) }
            if held != stock.counters.reserved {
                law.violated("\(product.sku): \(stock.counters.reserved) reserved, \(held) held")
            }
        }
    }

    private static func ledger(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        each("the ledger's sum is every counter", record, stocks) { product, stock, law in
            var sum = Counters()
            for entry in stock.ledger {
                sum.quantity += entry.quantity
                sum.reserved += entry.reserved
            }
            if sum != stock.counters {
                law.violated(
                    "\(product.sku): \(stock.counters.quantity)/\(stock.counters.reserved), "
                        + "by the ledger \(sum.quantity)/\(sum.reserved)")
            }
        }
    }

    private static func sold(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        each("quantity = initial − confirmed", record, stocks) { product, stock, law in
            let confirmed = stock.ledger.reduce(0) { $0 - ($1.type == "confirm" ? $1.quantity : 0) }
            if stock.counters.quantity != product.initial - confirmed {
                law.violated(
                    "\(product.sku): \(stock.counters.quantity) of \(product.initial), \(confirmed) confirmed")
            }
        }
    }

    /// In the ledger a hold begins once and ends once at most, with the quantity it began with.
    private static func ends(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        each("each hold begins once and ends at most once", record, stocks) { product, stock, law in
            var begun: [String: Int] = [:]
            var over: Set<String> = []
            for entry in stock.ledger {
                let name = "\(product.sku)~\(entry.hold)"
                switch entry.type {
                case "reserve":
                    if begun.updateValue(entry.reserved, forKey: entry.hold) != nil {
                        law.violated("\(name) is reserved twice")
                    }
                case "confirm", "cancel", "expire":
                    if begun[entry.hold] != -entry.reserved { law.violated("\(name) gives back what it has not") }
                    if !over.insert(entry.hold).inserted { law.violated("\(name) ends twice") }
                default: break
                }
            }
        }
    }

    /// Every hold that was answered with 201 exists and is what was said last; a key has a hold of its own.
    private static func told(_ record: RunRecord, _ stocks: [String: Stock]) -> Law {
        let known = record.holds.filter { !$0.id.isEmpty }
        var law = Law("each hold is what was said", about: "\(known.count) holds")
        var owners: [String: String] = [:]
        for hold in known {
            if let other = owners.updateValue(hold.key, forKey: hold.id) {
                law.violated("\(hold.id) was given to \(other) and to \(hold.key)")
            }
            guard let now = stocks[hold.sku]?.told[String(hold.id.suffix(20))] else {
                law.missing("\(hold.id) does not exist", mayLose: record.toleratesLoss)
                continue
            }
            if now.quantity != hold.quantity {
                law.violated("\(hold.id) has \(now.quantity) instead of \(hold.quantity)")
            }
            if may(hold).contains(now.status) { continue }
            // An end that is gone with the master leaves the hold as it was, or to lapse.
            let isEarlier = ["active", "expired"].contains(now.status)
            law.missing(
                "\(hold.id) is \(now.status), and \(hold.fate.rawValue) was said",
                mayLose: isEarlier && record.toleratesLoss)
        }
        return law
    }

    /// What a hold may be by now, by what its client was told.
    private static func may(_ hold: RunRecord.Hold) -> [String] {
        switch hold.fate {
        case .active where hold.expires: ["expired"]
        case .active where hold.asked.isEmpty: ["active"]
        // Asked for an end and told nothing.
        case .active: ["active", "expired", hold.asked == "confirm" ? "confirmed" : "cancelled"]
        case .confirmed: ["confirmed"]
        case .cancelled: ["cancelled"]
        case .ended, .refused, .unknown: ["confirmed", "cancelled", "expired"]
        }
    }
}
